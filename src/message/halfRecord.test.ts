import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HalfRecord } from "./halfRecord.ts";
import { formatProperties, parseProperties } from "./properties.ts";

const GROUP = Buffer.from("--producers--");

function read(properties: Map<string, string> | string): { half: HalfRecord; kept: Map<string, string> } {
  const text = typeof properties === "string" ? properties : formatProperties(properties);
  const buf = Buffer.concat([Buffer.alloc(3, 0x41), Buffer.from(text), Buffer.alloc(2, 0x41)]);
  const half = new HalfRecord();
  half.read(buf, 3, buf.length - 2, GROUP, 2, GROUP.length - 2);
  expect(buf.toString("latin1", buf.length - 2)).toBe("AA");
  return { half, kept: parseProperties(buf.toString("utf8", 3, half.propertiesEnd)) };
}

describe("the properties of a half message", () => {
  it("are kept but for the two that say where it goes, in whatever order (model)", () => {
    const name = fc.oneof(
      fc.constantFrom("PGROUP", "TAGS", "REAL_TOPICS", "REAL", "__transactionId__", "TRAN_MSG", "CLUSTER", "a"),
      fc.string({ unit: "grapheme-ascii", minLength: 1 }),
    );
    const value = fc.string({ unit: "grapheme", minLength: 1 });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.nat(), fc.nat(), fc.nat(99_999), (entries, a, b, queueId) => {
        const clean = new Map(entries.filter(([n]) => n !== "REAL_TOPIC" && n !== "REAL_QID" && n !== "DELAY"));
        const list = [...clean];
        list.splice(a % (list.length + 1), 0, ["REAL_TOPIC", "tópico"]);
        list.splice(b % (list.length + 1), 0, ["REAL_QID", String(queueId)]);
        const { half, kept } = read(new Map(list));
        expect(kept).toEqual(clean);
        expect([half.topic, half.queueId]).toEqual(["tópico", queueId]);
        expect(half.sameGroup).toBe(clean.get("PGROUP") === "producers");
        expect(half.special).toBe(false);
      }),
    );
  });

  it("are special when the commit is more than a copy", () => {
    for (const name of ["DELAY", "TIMER_DELAY_MS", "CHECK_IMMUNITY_TIME_IN_SECONDS", "TRAN_PREPARED_QUEUE_OFFSET"]) {
      expect(read(new Map([[name, "1"]])).half.special).toBe(true);
      expect(read(new Map([[`${name}X`, "1"]])).half.special).toBe(false);
    }
  });

  it("of a message that is no half message have no destination", () => {
    expect(read("").half).toMatchObject({ topic: "", queueId: -1, sameGroup: false });
    expect(read("REAL_QID\u0001x\u0002REAL_TOPIC\u0001\u0002").half).toMatchObject({ topic: "", queueId: -1 });
    expect(read("REAL_QID\u00019999999999\u0002").half.queueId).toBe(-1);
    expect(read("PGROUP\u0001producers\u0002a\u00011").half.sameGroup).toBe(true);
  });
});
