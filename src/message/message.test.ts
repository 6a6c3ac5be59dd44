/** The small formats of a message; whole records are held to Apache's bytes in store/apacheStore.test.ts. */
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostBytes } from "../base/host.ts";
import { seededRandom } from "../base/random.ts";
import { BatchError, readBatch } from "./batch.ts";
import { MessageDraft } from "./draft.ts";
import { formatMessageId, messageIdsOf, parseMessageId } from "./messageId.ts";
import { formatProperties, parseProperties } from "./properties.ts";
import { PropertyScan } from "./propertyScan.ts";
import { RecordView } from "./record.ts";
import { newUniqueKey } from "./uniqueKey.ts";

const hasNoSeparator = (text: string) => !text.includes("\u0001") && !text.includes("\u0002");
const name = fc.oneof(
  fc.constantFrom("TAGS", "KEYS", "UNIQ_KEY", "WAIT", "DELAY", "CLUSTER", "TAG", "KEYSS", "T", "INNER_NUM"),
  fc.string({ minLength: 1, maxLength: 12 }).filter(hasNoSeparator),
);
const value = fc.string({ minLength: 1, maxLength: 12, unit: "grapheme" }).filter(hasNoSeparator);

describe("properties", () => {
  it("come back from their text", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (entries) => {
        const map = new Map(entries);
        expect(parseProperties(formatProperties(map))).toEqual(map);
      }),
    );
  });

  it("are read as Apache does: the last of equal names wins, what has no separator, name or value is dropped", () => {
    expect([...parseProperties("a\u00011\u0002b\u0002c\u0001\u0002\u00015\u0002a\u00012\u0002d\u00013")]).toEqual([
      ["a", "2"],
      ["d", "3"],
    ]);
    expect([...parseProperties("")]).toEqual([]);
  });
});

describe("the scan of properties", () => {
  it("finds what parsing finds (model)", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.nat(5), (entries, before) => {
        const map = new Map(entries);
        const text = formatProperties(map);
        const buf = Buffer.concat([Buffer.alloc(before, 0x41), Buffer.from(text), Buffer.alloc(3, 0x41)]);
        const scan = new PropertyScan();
        scan.scan(buf, before, buf.length - 3);
        const cut = (start: number, end: number) => (start < 0 ? undefined : buf.toString("utf8", start, end));
        expect(cut(scan.tagsStart, scan.tagsEnd)).toBe(map.get("TAGS"));
        expect(cut(scan.keysStart, scan.keysEnd)).toBe(map.get("KEYS"));
        expect(cut(scan.uniqueStart, scan.uniqueEnd)).toBe(map.get("UNIQ_KEY"));
        const special = ["DELAY", "CLUSTER", "INNER_NUM"].some((one) => map.has(one));
        expect(scan.special).toBe(special);
      }),
    );
  });

  it("takes WAIT=false in any case of its first letter, and a missing value separator as special", () => {
    const scan = new PropertyScan();
    const of = (text: string) => {
      const buf = Buffer.from(text);
      scan.scan(buf, 0, buf.length);
      return [scan.noWait, scan.special];
    };
    expect(of("WAIT\u0001false\u0002")).toEqual([true, false]);
    expect(of("WAIT\u0001true\u0002")).toEqual([false, false]);
    expect(of("WAIT\u0001FALSE")).toEqual([true, false]);
    expect(of("a\u00011\u0002lonely\u0002")).toEqual([false, true]);
    expect(of("a\u00011\u0002lonely")).toEqual([false, true]);
  });
});

describe("message ids", () => {
  it("carry host and offset, IPv4 in 32 and IPv6 in 56 characters", () => {
    const v4 = formatMessageId(hostBytes("10.1.2.3", 10_911), 0x123456789ab);
    expect(v4).toBe("0A01020300002A9F00000123456789AB");
    expect(parseMessageId(v4)).toEqual({ host: hostBytes("10.1.2.3", 10_911), logOffset: 0x123456789ab });
    const v6 = formatMessageId(hostBytes("2001:db8::7", 1), 5);
    expect(v6).toHaveLength(56);
    expect(parseMessageId(v6.toLowerCase())).toEqual({ host: hostBytes("2001:db8::7", 1), logOffset: 5 });
    expect(messageIdsOf(hostBytes("1.2.3.4", 5), [1, 2]).split(",")).toHaveLength(2);
  });

  it("that are none are told", () => {
    for (const id of ["", "xyz", "0".repeat(31), "g".repeat(32), `${"0".repeat(16)}7FFFFFFFFFFFFFFF`])
      expect(parseMessageId(id)).toBeUndefined();
  });

  it("of clients are 32 upper-case hex digits, each another", () => {
    const random = seededRandom(1);
    const keys = Array.from({ length: 1000 }, () => newUniqueKey(1_700_000_000_000, random));
    expect(new Set(keys).size).toBe(1000);
    for (const key of keys) expect(key).toMatch(/^[0-9A-F]{32}$/);
  });
});

describe("a batch", () => {
  const message = (flag: number, body: string, properties: string) => {
    const buf = Buffer.alloc(22 + Buffer.byteLength(body) + Buffer.byteLength(properties));
    buf.writeInt32BE(buf.length, 0);
    buf.writeInt32BE(flag, 12);
    buf.writeInt32BE(Buffer.byteLength(body), 16);
    buf.write(body, 20);
    buf.writeInt16BE(Buffer.byteLength(properties), 20 + Buffer.byteLength(body));
    buf.write(properties, 22 + Buffer.byteLength(body));
    return buf;
  };

  it("is taken apart where its messages lie", () => {
    const buf = Buffer.concat([Buffer.alloc(3), message(7, "one", "a\u0001b\u0002"), message(8, "", "")]);
    const batch = readBatch(buf, 3, buf.length);
    expect(batch.count).toBe(2);
    expect(batch.flags).toEqual([7, 8]);
    expect(buf.toString("utf8", batch.bodyStarts[0], batch.bodyEnds[0])).toBe("one");
    expect(buf.toString("utf8", batch.propertiesStarts[0], batch.propertiesEnds[0])).toBe("a\u0001b\u0002");
    expect(batch.bodyStarts[1]).toBe(batch.bodyEnds[1]);
  });

  it("that is damaged is refused by name, never read past its end", () => {
    const good = Buffer.concat([message(0, "one", "a\u0001b\u0002"), message(0, "two", "")]);
    expect(() => readBatch(good, 0, 0)).toThrow(BatchError);
    for (let end = 1; end < good.length; end++) {
      if (end === message(0, "one", "a\u0001b\u0002").length) continue;
      expect(() => readBatch(good, 0, end), `cut at ${end}`).toThrow(BatchError);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const buf = Buffer.from(bytes);
        try {
          const batch = readBatch(buf, 0, buf.length);
          for (const end of batch.propertiesEnds) expect(end).toBeLessThanOrEqual(buf.length);
        } catch (error) {
          expect(error).toBeInstanceOf(BatchError);
        }
      }),
    );
  });
});

describe("a record", () => {
  const record = fc.record({
    topic: fc.string({ minLength: 1, maxLength: 300, unit: fc.constantFrom(..."abcXYZ019%_-|") }),
    body: fc.uint8Array({ maxLength: 200 }),
    properties: fc.string({ maxLength: 100 }),
    suffix: fc.constantFrom("", "x\u0001y\u0002"),
    v6: fc.tuple(fc.boolean(), fc.boolean()),
    numbers: fc.tuple(fc.nat(), fc.integer(), fc.maxSafeNat(), fc.maxSafeNat(), fc.maxSafeNat()),
  });

  function encoded(made: typeof record extends fc.Arbitrary<infer T> ? T : never): {
    buf: Buffer;
    draft: MessageDraft;
  } {
    const draft = new MessageDraft();
    const host = (v6: boolean) => (v6 ? hostBytes("2001:db8::9", 7) : hostBytes("10.0.0.1", 7));
    draft.setHosts(host(made.v6[0]), host(made.v6[1]));
    draft.topic = Buffer.from(made.topic);
    draft.body = Buffer.from(made.body);
    draft.bodyEnd = made.body.length;
    draft.properties = Buffer.from(made.properties);
    draft.propertiesEnd = draft.properties.length;
    draft.suffix = Buffer.from(made.suffix);
    [draft.queueId, draft.flag, draft.bornTimestamp, draft.storeTimestamp, draft.preparedTransactionOffset] =
      made.numbers;
    const buf = Buffer.alloc(draft.totalBytes(), 0xee);
    draft.encode(buf, 0, buf.length, made.numbers[2], made.numbers[3]);
    return { buf, draft };
  }

  it("comes back from its bytes", () => {
    fc.assert(
      fc.property(record, (made) => {
        const { buf } = encoded(made);
        const view = new RecordView();
        expect(view.read(buf, 0, buf.length, true)).toBe("record");
        expect(view.totalBytes).toBe(buf.length);
        expect(view.topic()).toBe(made.topic);
        expect(view.body()).toEqual(Buffer.from(made.body));
        const closed = made.suffix === "" || made.properties === "" || made.properties.endsWith("\u0002");
        expect(view.properties()).toBe(made.properties + (closed ? "" : "\u0002") + made.suffix);
        expect([view.queueId, view.flag, view.bornTimestamp, view.storeTimestamp]).toEqual(made.numbers.slice(0, 4));
        expect([view.queueOffset, view.logOffset]).toEqual(made.numbers.slice(2, 4));
        expect([view.bornHostBytes, view.storeHostBytes]).toEqual(made.v6.map((v6) => (v6 ? 20 : 8)));
        expect(view.isPlausible()).toBe(true);
      }),
    );
  });

  it("that was damaged is never taken for one with another body, and reading it never throws", () => {
    fc.assert(
      fc.property(record, fc.nat(), fc.nat(255), fc.nat(), (made, at, byte, end) => {
        const { buf } = encoded(made);
        const body = Buffer.from(made.body);
        buf[at % buf.length] = byte;
        const view = new RecordView();
        const kind = view.read(buf, 0, end % 3 === 0 ? end % (buf.length + 1) : buf.length, true);
        if (kind === "record" && view.bodyBytes > 0) expect(view.body()).toEqual(body);
      }),
      { numRuns: 2000 },
    );
    const view = new RecordView();
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        (bytes) => void view.read(Buffer.from(bytes), 0, bytes.length, true),
      ),
    );
  });

  it("whose topic no writer makes is not plausible", () => {
    for (const topic of ["/etc", "..", "a b", "a/b", "a\\b", "a\u0000", "\u00e4"]) {
      const { buf } = encoded({
        topic,
        body: new Uint8Array(1),
        properties: "",
        suffix: "",
        v6: [false, false],
        numbers: [0, 0, 0, 0, 0],
      });
      const view = new RecordView();
      expect(view.read(buf, 0, buf.length, true)).toBe("record");
      expect(view.isPlausible(), topic).toBe(false);
    }
  });
});
