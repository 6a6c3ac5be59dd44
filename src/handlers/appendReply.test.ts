import { describe, expect, it } from "vitest";
import type { AppendStatus } from "../store/types.ts";
import { fakeBroker } from "../testing/brokerParts.ts";
import { appendReply } from "./appendReply.ts";

const parts = fakeBroker();
const HEADER = { MSG_REGION: "DefaultRegion", TRACE_ON: true, msgId: "id", queueId: 1, queueOffset: 2 };
const COMMON = { MSG_REGION: "DefaultRegion", TRACE_ON: true };

const reply = (status: AppendStatus, reason = "") => appendReply(parts, { status, reason }, HEADER);

describe("the outcome of an append", () => {
  it.each<[AppendStatus, number]>([
    ["ok", 0],
    ["flushDiskTimeout", 10],
    ["slaveNotAvailable", 11],
    ["flushSlaveTimeout", 12],
  ])("rule 4: %s is code %d with the whole header, since the client counts the message as sent", (status, code) => {
    expect(reply(status)).toEqual({ code, header: HEADER, remark: undefined });
    expect(reply(status, "why")).toEqual({ code, header: HEADER, remark: "why" });
  });

  it("rule 3: of a refusal still carries region and trace switch, which the client reads without looking", () => {
    for (const status of ["messageIllegal", "propertiesTooLong", "notAvailable", "busy"] as const) {
      expect(reply(status, "exactly why")).toMatchObject({ header: COMMON });
      expect(reply(status, "exactly why").header).not.toHaveProperty("msgId");
      expect(reply(status, "exactly why").remark).toContain("exactly why");
    }
  });

  it("rule 25: is a code that the client knows what to do with", () => {
    expect(reply("messageIllegal").code).toBe(13);
    expect(reply("propertiesTooLong").code).toBe(13);
    expect(reply("notAvailable", "the disk is full").code).toBe(14);
    expect(reply("busy", "too much").remark).toBe("[PC_SYNCHRONIZED]broker busy: too much");
    expect(reply("busy").code).toBe(2);
  });
});
