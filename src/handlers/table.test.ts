import { describe, expect, it } from "vitest";
import { RULED } from "../auth/accessRules.ts";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/log.ts";
import { PullHolds } from "../broker/pullHolds.ts";
import { loadNamesrvConfig } from "../config/index.ts";
import { createNamesrv } from "../namesrv/namesrv.ts";
import type { Row } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { REQUESTS } from "../protocol/generated/requests.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { fakeBroker } from "../testing/brokerParts.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { brokerRows, type TableParts } from "./table.ts";
import { UNSUPPORTED } from "./unsupported.ts";

function rowsOfBroker(): Row[] {
  const parts = { ...fakeBroker(), holds: new PullHolds(systemClock) };
  // Only the rows' codes matter here; no request is made.
  return brokerRows(parts as unknown as TableParts);
}

function rowsOfNamesrv(): Row[] {
  return createNamesrv({
    clock: systemClock,
    log: silentLogger(),
    config: loadNamesrvConfig(new Map()).config,
    kvFile: new MetadataFile(new MemoryDisk(), "/kvConfig.json"),
  }).rows;
}

const names = new Map<number, string>(Object.entries(RequestCode).map(([name, code]) => [code, name]));

describe("the dispatch tables", () => {
  it("answer every request code of Apache 5.5.0, or refuse it with a reason", () => {
    const answered = new Set([...rowsOfBroker(), ...rowsOfNamesrv()].map((row) => row.code));
    const refused = new Set(UNSUPPORTED.map((one) => one.code));
    const forgotten = [...names].filter(([code]) => !answered.has(code) && !refused.has(code));
    expect(forgotten).toEqual([]);
    const both = [...names].filter(([code]) => answered.has(code) && refused.has(code));
    expect(both).toEqual([]);
  });

  it("name each row as Apache does, once, with the header that travels with the code", () => {
    for (const rows of [rowsOfBroker(), rowsOfNamesrv()]) {
      expect(rows.map((row) => row.name)).toEqual(rows.map((row) => names.get(row.code)));
      expect(new Set(rows.map((row) => row.code)).size).toBe(rows.length);
    }
    for (const row of rowsOfBroker()) {
      if (row.handle === undefined) continue;
      const grammar = REQUESTS.find((request) => request.code === row.code);
      expect(row.header?.name, row.name).toBe(grammar?.request?.name);
    }
  });

  it("say of each row of the broker what its requests want, and of nothing else", () => {
    const rows = rowsOfBroker();
    expect(rows.filter((row) => row.access === undefined)).toEqual([]);
    expect(new Set(RULED)).toEqual(new Set(rows.map((row) => row.name)));
  });

  it("keep pull and pop off the fast port, as Apache does", () => {
    const hidden = rowsOfBroker().filter((row) => row.lane === "notFast");
    expect(hidden.map((row) => row.name).sort()).toEqual([
      "LITE_PULL_MESSAGE",
      "NOTIFICATION",
      "PEEK_MESSAGE",
      "POLLING_INFO",
      "POP_LITE_MESSAGE",
      "POP_MESSAGE",
      "PULL_MESSAGE",
    ]);
  });

  it("give every refusal one sentence that says what to do or why", () => {
    for (const { code, name, reason } of UNSUPPORTED) {
      expect(names.get(code)).toBe(name);
      expect(reason.length, name).toBeGreaterThan(20);
      expect(reason, name).not.toMatch(/\.$/);
    }
  });
});
