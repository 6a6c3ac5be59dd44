import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type JavaKey, type JavaValue, javaDouble, parseJavaJson, STANDARD_JSON, writeJavaJson } from "./javaJson.ts";

/** Bodies as the 5.5.0 classes themselves encode them. */
const APACHE_SAMPLES = [
  '{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:{"lastUpdateTimestamp":0,"maxOffset":5,"minOffset":0}},"topicPutTps":0.0}',
  '{"consumeTps":1.25,"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:{"brokerOffset":3,"consumerOffset":0,"lastTimestamp":0,"pullOffset":0}}}',
  '{"consumerTable":{"cid":{{"brokerName":"b","queueId":1,"topic":"T"}:9}},"messageQueueTable":{{"brokerName":"b","queueId":1,"topic":"T"}:9}}',
  '{"brokerDatas":[{"brokerAddrs":{0:"1.2.3.4:10911",1:"1.2.3.5:10911"},"brokerName":"b","cluster":"c","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}',
  '{"brokerAddrTable":{"b":{"brokerAddrs":{"0":"1.2.3.4:10911"},"brokerName":"b"}},"clusterAddrTable":{"c":["b"]}}',
  '{"correctionOffsets":{0:4}}',
  '{"e":[1,null,2],"n":-5,"t":true}',
  "[]",
  "{}",
];

describe("reading", () => {
  it("keeps how a key was written: text, integer or object", () => {
    expect(parseJavaJson('{0:"a","0":"b",-7:"c",{"q":1}:"d",true:"e"}')).toEqual(
      new Map<JavaKey, JavaValue>([
        [0, "a"],
        ["0", "b"],
        [-7, "c"],
        [new Map([["q", 1]]), "d"],
        [true, "e"],
      ]),
    );
  });

  it.each([
    ["{'a':'x'}", new Map([["a", "x"]])],
    ["[1,2,]", [1, 2]],
    ['{"a":1,}', new Map([["a", 1]])],
    ["[01,+1,1.,.5,1L,-0]", [1, 1, 1, 0.5, 1, 0]],
    ['"a\\u4e2d\\x41\\/\\n\\""', 'a中A/\n"'],
    ['"\t\n"', "\t\n"],
    [' {"a":1,"a":2} ', new Map([["a", 2]])],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
    ["-9007199254740991", Number.MIN_SAFE_INTEGER],
    ["1.0E21", 1e21],
  ])("accepts what fastjson accepts: %j", (text, value) => {
    expect(parseJavaJson(text)).toEqual(value);
  });

  it.each([
    ["", "expected a value, found the end of the text at position 0"],
    ["{a:1}", 'a key must be quoted, an integer or an object, found "a" at position 1'],
    ["{,}", 'a key must be quoted, an integer or an object, found "," at position 1'],
    ['{"a":1,,"b":2}', 'a key must be quoted, an integer or an object, found "," at position 7'],
    ['{"a":1}x', 'unexpected "x" after the value at position 7'],
    ['{"a" 1}', 'expected : after a key, found "1" at position 5'],
    ['{"a":1 "b":2}', 'expected , or }, found "\\"" at position 7'],
    ["[1 2]", 'expected , or ], found "2" at position 3'],
    ["[1", "expected , or ], found the end of the text at position 2"],
    ['"abc', "string without its closing quote at position 0"],
    ['{"a":"\\q"}', "unknown escape \\q at position 6"],
    ['"\\u12g4"', "\\u needs 4 hexadecimal digits at position 1"],
    ["18446744073709551616", "18446744073709551616 is beyond a Java long at position 0"],
    ["{12345678901234567890:1}", "12345678901234567890 is beyond the safe integers (2^53 - 1) at position 1"],
    ["1e999", "1e999 is beyond a double at position 0"],
    ["tru", 'expected true, found "t" at position 0'],
    ["NaN", 'expected a value, found "N" at position 0'],
    ["// c\n1", 'expected a value, found "/" at position 0'],
    ["[".repeat(65), "nested deeper than 64 levels at position 64"],
    [`${"{".repeat(65)}`, "nested deeper than 64 levels at position 64"],
  ])("refuses %j with the reason and the position", (text, message) => {
    expect(() => parseJavaJson(text)).toThrow(message);
  });

  it("reads a key called __proto__ as data", () => {
    const map = parseJavaJson('{"__proto__":{"x":1}}') as Map<string, JavaValue>;
    expect(map.get("__proto__")).toEqual(new Map([["x", 1]]));
    expect(Object.getPrototypeOf({})).not.toHaveProperty("x");
  });
});

describe("writing", () => {
  it("sorts a bean's fields, leaves out its nulls, keeps nulls of lists", () => {
    expect(writeJavaJson({ b: 1, a: [1, null, undefined], c: null, d: undefined, e: true })).toBe(
      '{"a":[1,null,null],"b":1,"e":true}',
    );
  });

  it("leaves integer, boolean and object keys of maps unquoted, and leaves out null values", () => {
    const map = new Map<unknown, unknown>([
      [1, "x"],
      [true, "b"],
      [{ topic: "T", queueId: 1, brokerName: "b" }, 7],
      ["gone", null],
    ]);
    expect(writeJavaJson(map)).toBe('{1:"x",true:"b",{"brokerName":"b","queueId":1,"topic":"T"}:7}');
    expect(writeJavaJson(map, { quoteIntKeys: true })).toBe(
      '{"1":"x","true":"b",{"brokerName":"b","queueId":1,"topic":"T"}:7}',
    );
  });

  it("sorts maps by key for clients that want standard JSON, numbers as numbers", () => {
    expect(writeJavaJson(new Map([10, 9, 1].map((id) => [id, id])), STANDARD_JSON)).toBe('{"1":1,"9":9,"10":10}');
    expect(writeJavaJson(new Map(["b", "a"].map((id) => [id, id])), STANDARD_JSON)).toBe('{"a":"a","b":"b"}');
  });

  it.each([
    [0, "0.0"],
    [-0, "-0.0"],
    [1, "1.0"],
    [1.25, "1.25"],
    [0.1, "0.1"],
    [1e7, "1.0E7"],
    [12345678.9, "1.23456789E7"],
    [9999999, "9999999.0"],
    [0.001, "0.001"],
    [1e-5, "1.0E-5"],
    [1e21, "1.0E21"],
    [Number.NaN, "null"],
    [Number.POSITIVE_INFINITY, "null"],
  ])("writes the double %d as Java does: %s", (value, text) => {
    expect(writeJavaJson(javaDouble(value))).toBe(text);
  });

  it("escapes exactly what fastjson escapes", () => {
    expect(writeJavaJson('\u0000\u000b\u001f\b\t\n\f\r"\\/é中😀\u2028\u007f\ud800')).toBe(
      '"\\u0000\\u000b\\u001f\\b\\t\\n\\f\\r\\"\\\\/é中😀\u2028\u007f?"',
    );
  });

  it("refuses what has no Java form", () => {
    expect(() => writeJavaJson(0.5)).toThrow("0.5 is not a safe integer (use javaDouble for doubles)");
    expect(() => writeJavaJson(2 ** 53)).toThrow("not a safe integer");
    expect(() => writeJavaJson({ f: () => 1 })).toThrow("a function has no JSON form");
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => writeJavaJson(cycle)).toThrow("deeper than 64");
  });
});

describe("round trips", () => {
  it.each(APACHE_SAMPLES)("%s", (text) => {
    expect(writeJavaJson(withDoubles(parseJavaJson(text), text))).toBe(text);
  });

  const { value } = fc.letrec<{ value: JavaValue; key: JavaKey }>((tie) => ({
    key: fc.oneof(
      { maxDepth: 2 },
      fc.string({ unit: "grapheme" }),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.uniqueArray(fc.string()).map((names) => new Map(names.map((name) => [name, name]))),
    ),
    value: fc.oneof(
      { maxDepth: 5 },
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.string({ unit: "binary" }).map((text) => text.replace(/[\ud800-\udfff]/g, "")),
      fc.array(fc.oneof(tie("value"), fc.constant(null))),
      fc.array(fc.tuple(tie("key"), tie("value"))).map((entries) => new Map(entries)),
    ),
  }));

  it("any value comes back as it was written", () => {
    fc.assert(
      fc.property(value, (before) => {
        expect(parseJavaJson(writeJavaJson(before))).toEqual(before);
      }),
    );
  });

  it("any double comes back as it was written", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (before) => {
        expect(parseJavaJson(writeJavaJson(javaDouble(before)))).toBe(before);
      }),
    );
  });

  it("quoted integer keys make standard JSON", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer(), fc.string())), (entries) => {
        const map = new Map(entries);
        expect(JSON.parse(writeJavaJson(map, STANDARD_JSON))).toEqual(Object.fromEntries(map));
      }),
    );
  });

  it("any text either parses or is refused with a position inside it", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."{}[]:,\"'0.1-aeLtrun\\ ") }), (text) => {
        try {
          parseJavaJson(text);
        } catch (error) {
          expect(error).toMatchObject({ position: expect.any(Number) });
          expect((error as { position: number }).position).toBeLessThanOrEqual(text.length);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

/** Marks the numbers that `text` shows with a decimal point, which reading cannot tell from integers. */
function withDoubles(value: JavaValue, text: string): unknown {
  if (!(value instanceof Map)) return value;
  return new Map(
    [...value].map(([key, item]) => [
      key,
      typeof item === "number" && new RegExp(`"${String(key)}":[-\\d]*\\.`).test(text) ? javaDouble(item) : item,
    ]),
  );
}
