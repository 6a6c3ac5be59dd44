import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatProperties, parseProperties } from "./properties.ts";

const parsed = (text: string) => Object.fromEntries(parseProperties(text));

describe("parseProperties", () => {
  it("separates key and value by =, : or blanks", () => {
    expect(parsed("a=1\nb:2\nc 3\nd = 4\ne\t:\t5\nf\ng==6\n")).toEqual({
      a: "1",
      b: "2",
      c: "3",
      d: "4",
      e: "5",
      f: "",
      g: "=6",
    });
  });

  it("skips comments, blank lines, leading blanks and a byte order mark", () => {
    expect(parsed("\uFEFFa=1\n# b=2\n  ! c=3\n\n \t\f\n   d=4")).toEqual({ a: "1", d: "4" });
  });

  it("ends lines at LF, CR and CRLF, and keeps the last of two values", () => {
    expect(parsed("a=1\r\nb=2\ra=3\n")).toEqual({ a: "3", b: "2" });
  });

  it("joins lines whose end is escaped, and only those", () => {
    expect(parsed("a=one \\\n   two\\\r\n\tthree\nb=back\\\\\nc=1")).toEqual({
      a: "one twothree",
      b: "back\\",
      c: "1",
    });
    expect(parsed("a=1,\\\n#2")).toEqual({ a: "1,#2" });
  });

  it("undoes escapes in keys and values", () => {
    expect(parsed("a\\=b\\:c\\ d=\\t\\n\\r\\f\\q\\u00e9\\u4e2d")).toEqual({ "a=b:c d": "\t\n\r\fqé中" });
  });

  it("refuses a cut-off unicode escape", () => {
    expect(() => parseProperties("a=\\u12")).toThrow("\\u is not followed by four hexadecimal digits");
  });

  it("keeps trailing blanks of a value, as Java does", () => {
    expect(parsed("a=1  ")).toEqual({ a: "1  " });
  });
});

describe("formatProperties", () => {
  it("writes plain values as they are", () => {
    const entries = new Map([
      ["messageDelayLevel", "1s 5s"],
      ["namesrvAddr", "127.0.0.1:9876;h:1"],
      ["empty", ""],
    ]);
    expect(formatProperties(entries)).toBe("messageDelayLevel=1s 5s\nnamesrvAddr=127.0.0.1:9876;h:1\nempty=\n");
  });

  it("is undone by parseProperties, whatever the text", () => {
    const text = fc.string({ unit: "binary" }).filter((each) => !each.startsWith("\uFEFF"));
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text)), (pairs) => {
        const entries = new Map(pairs);
        expect(parseProperties(formatProperties(entries))).toEqual(entries);
      }),
    );
  });
});
