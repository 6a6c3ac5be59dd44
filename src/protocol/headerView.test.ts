import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HEADER_FIELDS_MAX } from "../base/limits.ts";
import { decodeHeader } from "./headerCodec.ts";
import type { HeaderSchema } from "./headerSchema.ts";
import { HeaderError, HeaderView, SERIALIZE_JSON, SERIALIZE_ROCKETMQ } from "./headerView.ts";

/** Bytes around the header, so that reading outside of it shows. */
const BEFORE = Buffer.from('{"code":99,"extFields":{"a":"b"}}');
const AFTER = Buffer.from('","}:{"opaque":77}');

function readBytes(header: Buffer, serialization = SERIALIZE_JSON): HeaderView {
  const buf = Buffer.concat([BEFORE, header, AFTER]);
  const view = new HeaderView();
  view.read(buf, BEFORE.length, BEFORE.length + header.length, serialization);
  expect(buf.subarray(0, BEFORE.length)).toEqual(BEFORE);
  expect(buf.subarray(BEFORE.length + header.length)).toEqual(AFTER);
  return view;
}

const read = (text: string) => readBytes(Buffer.from(text));

function fieldsOf(view: HeaderView): Record<string, string> {
  const fields: Record<string, string> = Object.create(null);
  for (let i = 0; i < view.count; i++) fields[view.keyText(i)] = view.valueText(i);
  return { ...fields };
}

describe("a JSON header", () => {
  it("is read as the Java client writes it", () => {
    const view = read(
      '{"code":310,"extFields":{"a":"group","b":"TopicTest","e":"3"},"flag":2,"language":"JAVA",' +
        '"opaque":17,"serializeTypeCurrentRPC":"JSON","version":513}',
    );
    expect(view).toMatchObject({ code: 310, flag: 2, opaque: 17, version: 513, language: "JAVA", remark: undefined });
    expect(fieldsOf(view)).toEqual({ a: "group", b: "TopicTest", e: "3" });
    expect(view.integer(view.find("e"))).toBe(3);
    expect(view.find("f")).toBe(-1);
    expect(view.text("b")).toBe("TopicTest");
  });

  it("is read as the Go client writes it: language first, as a name or a number", () => {
    expect(
      read('{"code":105,"language":"GO","version":317,"opaque":1,"flag":0,"remark":"","extFields":{}}'),
    ).toMatchObject({ code: 105, language: "GO", version: 317, opaque: 1, remark: "" });
    expect(read('{"language":9}').language).toBe("GO");
    expect(read('{"language":0}').language).toBe("JAVA");
    expect(read('{"language":1}').language).toBe("CPP");
    expect(read('{"language":222}').language).toBe("OTHER");
    expect(read('{"language":null}').language).toBe("OTHER");
    expect(read('{"language":"PYTHON"}').language).toBe("PYTHON");
  });

  it("may have its fields in any order and blanks anywhere", () => {
    const parts = [
      '"code":11',
      '"flag" : 1',
      '\n"opaque"\t:\r\n-5 ',
      '"version":409 ',
      '"extFields" : { "k" : "v" , "l":"w" } ',
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(parts, { minLength: parts.length }), (order) => {
        const view = read(` { ${order.join(" , ")} } `);
        expect(view).toMatchObject({ code: 11, flag: 1, opaque: -5, version: 409 });
        expect(fieldsOf(view)).toEqual({ k: "v", l: "w" });
      }),
      { numRuns: 60 },
    );
  });

  it("has its escapes undone: Go's \\u003c, surrogate pairs, control characters", () => {
    const view = read(
      '{"extFields":{"a":"\\u003cb\\u003e","b":"\\ud83d\\ude80!","c":"\\"\\\\\\/\\b\\f\\n\\r\\t","d":"\\u00e9\\u4e2d","e":"x\\u0001y\\u0002","f":"plain"}}',
    );
    expect(fieldsOf(view)).toEqual({
      a: "<b>",
      b: "🚀!",
      c: '"\\/\b\f\n\r\t',
      d: "é中",
      e: "x\u0001y\u0002",
      f: "plain",
    });
  });

  it("makes a lone surrogate U+FFFD, as Java's encoder would a question mark, and goes on behind it", () => {
    const view = read('{"extFields":{"a":"\\ud83dx","b":"\\ude80","c":"\\ud83d\\u0041","d":"ok"},"opaque":3}');
    expect(fieldsOf(view)).toEqual({ a: "\ufffdx", b: "\ufffd", c: "\ufffdA", d: "ok" });
    expect(view.opaque).toBe(3);
  });

  it("takes raw UTF-8 as it is", () => {
    expect(fieldsOf(read('{"extFields":{"主题":"消息🚀"}}'))).toEqual({ 主题: "消息🚀" });
  });

  it("takes numbers and booleans as extFields values by their text, and null as absent", () => {
    const view = read('{"extFields":{"n":12,"t":true,"x":null,"f":-1.5},"code":1}');
    expect(fieldsOf(view)).toEqual({ n: "12", t: "true", f: "-1.5" });
    expect(view.integer(view.find("n"))).toBe(12);
    expect(view.boolean(view.find("t"))).toBe(true);
  });

  it("may have no extFields, or null ones", () => {
    expect(read('{"code":1,"extFields":null,"opaque":2}')).toMatchObject({ code: 1, opaque: 2, count: 0 });
    expect(read("{}")).toMatchObject({ code: 0, count: 0 });
  });

  it("skips what it does not know, nested as it may be", () => {
    const view = read('{"x":{"code":5,"y":[{"a":"}]\\""}]},"z":[1,[2,"]"]],"code":7,"w":true,"opaque":1}');
    expect(view).toMatchObject({ code: 7, opaque: 1, count: 0 });
  });

  it("has a remark with escapes", () => {
    expect(read('{"code":1,"remark":"no \\"topic\\" \\u4e2d, {}"}').remark).toBe('no "topic" 中, {}');
  });

  it("answers the last of two equal fields, as a Java map does", () => {
    expect(read('{"extFields":{"a":"1","a":"2"}}').text("a")).toBe("2");
  });

  it("is reused: nothing of the header before shines through", () => {
    const view = new HeaderView();
    const first = Buffer.from(
      '{"code":1,"flag":3,"opaque":4,"version":5,"language":"GO","remark":"r","extFields":{"a":"b"}}',
    );
    view.read(first, 0, first.length, SERIALIZE_JSON);
    view.read(Buffer.from("{}"), 0, 2, SERIALIZE_JSON);
    expect(view).toMatchObject({
      code: 0,
      flag: 0,
      opaque: 0,
      version: 0,
      language: "OTHER",
      remark: undefined,
      count: 0,
    });
  });

  it("has the same fields as JSON.parse finds", () => {
    // Java and Go never escape a key; a key with an escape is only ever compared, never found.
    const key = fc.string({ unit: "grapheme", maxLength: 12 }).filter((k) => JSON.stringify(k) === `"${k}"`);
    const scalar = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.integer(), fc.boolean());
    const blank = fc.constantFrom("", " ", "\n", "\t\r ");
    fc.assert(
      fc.property(
        fc.dictionary(key, scalar, { maxKeys: 20 }),
        fc.record({ code: fc.integer(), flag: fc.nat(), opaque: fc.integer(), version: fc.nat(), remark: fc.string() }),
        fc.boolean(),
        blank,
        (extFields, head, escaped, gap) => {
          let text = JSON.stringify({ ...head, extFields, unknown: { a: [extFields] } }, null, gap);
          if (escaped) {
            text = text.replace(/[^\x20-\x7e\n\t\r]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
          }
          const view = read(text);
          const { code, flag, opaque, version, remark } = view;
          expect({ code, flag, opaque, version, remark }).toEqual(head);
          if (!escaped) {
            const expected = JSON.parse(text).extFields as Record<string, unknown>;
            for (const k in expected) expected[k] = Buffer.from(String(expected[k])).toString();
            expect(fieldsOf(view)).toEqual(expected);
          } else {
            const values = Object.values(extFields).map((v) => Buffer.from(String(v)).toString());
            expect(Object.values(fieldsOf(view))).toEqual(values);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("a binary header", () => {
  function binary(
    head: { code?: number; language?: number; version?: number; opaque?: number; flag?: number; remark?: string },
    fields: [string, string][] = [],
  ): Buffer {
    const i16 = (n: number) => Buffer.from([n >> 8, n]);
    const i32 = (n: number) => Buffer.from([n >> 24, n >> 16, n >> 8, n]);
    const text = (s: string) => Buffer.from(s);
    const ext = Buffer.concat(fields.flatMap(([k, v]) => [i16(text(k).length), text(k), i32(text(v).length), text(v)]));
    const remark = text(head.remark ?? "");
    return Buffer.concat([
      i16(head.code ?? 0),
      Buffer.from([head.language ?? 0]),
      i16(head.version ?? 0),
      i32(head.opaque ?? 0),
      i32(head.flag ?? 0),
      i32(remark.length),
      remark,
      i32(ext.length),
      ext,
    ]);
  }

  it("is read by its layout", () => {
    const bytes = binary({ code: 310, language: 9, version: 513, opaque: -2, flag: 2, remark: "中" }, [
      ["a", "group"],
      ["leer", ""],
      ["b", "主题"],
    ]);
    const view = readBytes(bytes, SERIALIZE_ROCKETMQ);
    expect(view).toMatchObject({ code: 310, language: "GO", version: 513, opaque: -2, flag: 2, remark: "中" });
    expect(fieldsOf(view)).toEqual({ a: "group", leer: "", b: "主题" });
  });

  it("has any fields", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string({ unit: "grapheme" })), fc.string(), (fields, remark) => {
        const view = readBytes(binary({ remark }, Object.entries(fields)), SERIALIZE_ROCKETMQ);
        expect(fieldsOf(view)).toEqual(fields);
        expect(view.remark).toBe(remark === "" ? undefined : remark);
      }),
    );
  });

  it("that was cut anywhere, or whose lengths lie, is refused with the reason", () => {
    const whole = binary({ code: 1, remark: "why" }, [
      ["key", "value"],
      ["k", "v"],
    ]);
    for (let end = 0; end < whole.length; end++) {
      expect(() => readBytes(whole.subarray(0, end), SERIALIZE_ROCKETMQ), `cut to ${end}`).toThrow(HeaderError);
    }
    const lie = (at: number, value: number) => {
      const bytes = Buffer.from(whole);
      bytes.writeInt32BE(value, at);
      return bytes;
    };
    expect(() => readBytes(lie(13, -1), SERIALIZE_ROCKETMQ)).toThrow("remark length -1 exceeds the header");
    expect(() => readBytes(lie(13, 1 << 30), SERIALIZE_ROCKETMQ)).toThrow("remark length 1073741824");
    expect(() => readBytes(lie(20, -7), SERIALIZE_ROCKETMQ)).toThrow("extFields length -7 exceeds the header");
    const negativeKey = Buffer.from(whole);
    negativeKey.writeInt16BE(-1, 24);
    expect(() => readBytes(negativeKey, SERIALIZE_ROCKETMQ)).toThrow("extension key length -1");
    expect(() => readBytes(lie(29, 0x7fffffff), SERIALIZE_ROCKETMQ)).toThrow("extension value length 2147483647");
  });

  it("with too many fields is refused", () => {
    const fields = Array.from({ length: HEADER_FIELDS_MAX + 1 }, (_, i): [string, string] => [`f${i}`, ""]);
    expect(readBytes(binary({}, fields.slice(1)), SERIALIZE_ROCKETMQ).count).toBe(HEADER_FIELDS_MAX);
    expect(() => readBytes(binary({}, fields), SERIALIZE_ROCKETMQ)).toThrow("more than 256 extension fields");
  });
});

describe("a damaged JSON header", () => {
  const whole =
    '{"code":310,"extFields":{"a":"gr\\u00e9","n":12},"language":"JAVA","x":[{"y":"z"}],"opaque":17,"remark":"no"}';

  it("that was cut anywhere is refused", () => {
    const bytes = Buffer.from(whole);
    for (let end = 0; end < bytes.length; end++) {
      expect(() => readBytes(Buffer.from(bytes.subarray(0, end))), `cut to ${end}`).toThrow(HeaderError);
    }
  });

  it("is read or refused, whatever its bytes are: no hang, no other error, nothing outside touched", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(SERIALIZE_JSON, SERIALIZE_ROCKETMQ),
        (changes, serialization) => {
          const bytes = Buffer.from(whole);
          for (const [at, value] of changes) bytes[at] = value;
          try {
            const view = readBytes(bytes, serialization);
            for (let i = 0; i < view.count; i++) {
              expect(view.keyStart[i]).toBeGreaterThanOrEqual(BEFORE.length);
              expect(view.valueEnd[i]).toBeLessThanOrEqual(BEFORE.length + bytes.length);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(HeaderError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each([
    ["[]", "header is not a JSON object (byte 0)"],
    ["", "header is not a JSON object (byte 0)"],
    ['{"code" 1}', "expected : after a key at byte"],
    ["{code:1}", "expected a string at byte"],
    ['{"code":"x"}', "code is not an integer"],
    ['{"code":1.5}', "code is not an integer"],
    ['{"opaque":}', "opaque is not an integer"],
    ['{"version":1e5}', "version is not an integer"],
    ['{"flag":12345678901234567890}', "flag is not an integer"],
    ['{"code":1 "flag":2}', "expected , or } at header byte 10"],
    ['{"extFields":{"a":{}}}', "is not a scalar"],
    ['{"extFields":{"a":[1]}}', "is not a scalar"],
    ['{"extFields":{"a":}}', "extFields value missing at byte"],
    ['{"extFields":{"a" "b"}}', "expected : after an extFields key"],
    ['{"extFields":{"a":"b" "c":"d"}}', "expected , or } in extFields"],
    ['{"extFields":{"a":"\\x"}}', "unknown JSON escape \\x"],
    ['{"extFields":{"a":"\\u12"}}', "\\u escape cut short"],
    ['{"extFields":{"a":"\\u12g4"}}', "\\u escape is not hexadecimal"],
    ['{"a":[[[', "nested value without its end"],
  ])("%s: %s", (text, reason) => {
    expect(() => read(text)).toThrow(HeaderError);
    expect(() => read(text)).toThrow(reason);
  });

  it("names the serialization that nobody knows", () => {
    expect(() => readBytes(Buffer.from("{}"), 7)).toThrow("serialization type 7 is neither JSON (0) nor ROCKETMQ (1)");
  });

  it("with too many fields is refused", () => {
    const fields = (n: number) => Array.from({ length: n }, (_, i) => `"f${i}":"x"`).join();
    expect(read(`{"extFields":{${fields(HEADER_FIELDS_MAX)}}}`).count).toBe(HEADER_FIELDS_MAX);
    expect(() => read(`{"extFields":{${fields(HEADER_FIELDS_MAX + 1)}}}`)).toThrow("more than 256 extension fields");
  });
});

describe("a field's value", () => {
  const value = (text: string) => {
    const view = read(`{"extFields":{"v":${JSON.stringify(text)}}}`);
    return view.integer(view.find("v"));
  };

  it("is an integer in decimal, with a sign or none", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (n) => {
        expect(value(String(n)) === n).toBe(true);
      }),
    );
    expect(value("+7")).toBe(7);
    expect(value("0007")).toBe(7);
    expect(value("9223372036854775807")).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
  });

  it.each(["", "-", "1.0", "1e3", "0x10", " 1", "99999999999999999999", "abc"])(
    '"%s" is not one, and says where',
    (text) => {
      expect(() => value(text)).toThrow(`field v: "${text}" is not an integer`);
    },
  );

  it("is true as Java's Boolean.parseBoolean says", () => {
    const view = read('{"extFields":{"a":"TRUE","b":"true","c":"yes","d":"","e":"1"}}');
    expect(["a", "b", "c", "d", "e"].map((name) => view.boolean(view.find(name)))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe("a header by its schema", () => {
  interface Sample {
    name?: string;
    count?: number;
    offset?: number;
    on?: boolean;
  }
  const schema = (enforced: boolean): HeaderSchema<Sample> => ({
    name: "Sample",
    enforced,
    fields: [
      { name: "name", type: "string", required: true },
      { name: "count", type: "int", required: false },
      { name: "offset", type: "long", required: false },
      { name: "on", type: "boolean", required: false },
    ],
  });
  const decode = (fields: string, enforced = false) =>
    decodeHeader(read(`{"extFields":{${fields}}}`), schema(enforced));

  it("has its types, and lets strangers be", () => {
    expect(decode('"name":"x","count":"-3","offset":"4294967296","on":"true","stranger":"1"')).toEqual({
      name: "x",
      count: -3,
      offset: 4294967296,
      on: true,
    });
  });

  it("rule 1: a missing required field is refused only where Apache enforces it", () => {
    expect(decode('"count":"1"')).toEqual({ count: 1 });
    expect(() => decode('"count":"1"', true)).toThrow("the custom field <name> of Sample is missing");
  });

  it("refuses an int that is none, and takes Long.MAX_VALUE as without limit", () => {
    expect(() => decode('"count":"2147483648"')).toThrow("field count: 2147483648 is not a 32-bit integer");
    expect(decode('"count":"-2147483648"').count).toBe(-2147483648);
    expect(decode('"offset":"9223372036854775807"').offset).toBe(Number.MAX_SAFE_INTEGER);
    expect(decode('"offset":"-9223372036854775808"').offset).toBe(Number.MIN_SAFE_INTEGER);
  });
});
