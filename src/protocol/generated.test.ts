import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  PullMessageRequestHeader,
  SendMessageRequestHeaderV2,
  SendMessageResponseHeader,
} from "./generated/headers.ts";
import { RequestCode } from "./generated/requestCodes.ts";
import { REQUESTS } from "./generated/requests.ts";
import { ResponseCode } from "./generated/responseCodes.ts";
import { CURRENT_VERSION } from "./generated/versions.ts";

describe("the generated wire", () => {
  it("is what a fresh generation from proto/ would write", () => {
    const script = fileURLToPath(new URL("../../scripts/generate.mjs", import.meta.url));
    execFileSync(process.execPath, [script, "--check"], { stdio: ["ignore", "ignore", "pipe"] });
  });

  it("has each request code of Apache 5.5.0 once, with its number", () => {
    expect(REQUESTS.map((each) => [each.name, each.code])).toEqual(Object.entries(RequestCode));
    expect(REQUESTS).toHaveLength(164);
    expect(new Set(REQUESTS.map((each) => each.code)).size).toBe(164);
    expect(RequestCode.SEND_MESSAGE_V2).toBe(310);
    expect(RequestCode.POP_LITE_MESSAGE).toBe(200_070);
    expect(ResponseCode.REQUEST_CODE_NOT_SUPPORTED).toBe(3);
    expect(CURRENT_VERSION).toBe(513);
  });

  it("pairs codes that share a header", () => {
    const grammar = (code: number) => REQUESTS.find((each) => each.code === code);
    for (const code of [
      RequestCode.SEND_MESSAGE_V2,
      RequestCode.SEND_BATCH_MESSAGE,
      RequestCode.SEND_REPLY_MESSAGE_V2,
    ]) {
      expect(grammar(code)?.request).toBe(SendMessageRequestHeaderV2);
      expect(grammar(code)?.response).toBe(SendMessageResponseHeader);
    }
    expect(grammar(RequestCode.LITE_PULL_MESSAGE)?.request).toBe(PullMessageRequestHeader);
    expect(grammar(RequestCode.GET_BROKER_CONFIG)?.request).toBeUndefined();
  });

  it("marks the headers whose required fields Apache enforces", () => {
    const enforced = new Set(
      REQUESTS.flatMap((each) => [each.request, each.response]).filter((each) => each?.enforced),
    );
    expect([...enforced].map((each) => each?.name).sort()).toEqual([
      "PullMessageRequestHeader",
      "PullMessageResponseHeader",
      "SendMessageRequestHeaderV2",
      "SendMessageResponseHeader",
    ]);
  });
});
