import { describe, expect, it } from "vitest";
import { resolveDefault } from "./machine.ts";
import { nearestKey } from "./nearest.ts";
import { type ApacheOption, coerce, type OptionType, textOf } from "./option.ts";

const option = (type: OptionType, values?: readonly string[]): ApacheOption => ({
  key: "k",
  type,
  default: undefined,
  apache: "BrokerConfig",
  ...(values && { values }),
});

describe("coerce", () => {
  it("reads each type, with blanks around it", () => {
    expect(coerce(option("int"), " 10911 ")).toBe(10_911);
    expect(coerce(option("int"), "+5")).toBe(5);
    expect(coerce(option("long"), "-9007199254740991")).toBe(-9_007_199_254_740_991);
    expect(coerce(option("double"), "8.5e3")).toBe(8500);
    expect(coerce(option("boolean"), "TRUE")).toBe(true);
    expect(coerce(option("boolean"), "false")).toBe(false);
    expect(coerce(option("string"), " a b ")).toBe("a b");
    expect(coerce(option("enum", ["SLAVE"]), "SLAVE")).toBe("SLAVE");
  });

  it.each([
    ["int", "abc", "k=abc: not an integer"],
    ["int", "", "k=: not an integer"],
    ["int", "1.5", "k=1.5: not an integer"],
    ["int", "2147483648", "k=2147483648: not a 32-bit integer"],
    ["long", "9007199254740993", "k=9007199254740993: larger than 2^53"],
    ["double", "1,5", "k=1,5: not a number"],
    ["boolean", "yes", "k=yes: neither true nor false"],
  ] as const)("refuses %s %j with the exact reason", (type, text, message) => {
    expect(() => coerce(option(type), text)).toThrow(message);
  });

  it("names the values of an enum", () => {
    expect(() => coerce(option("enum", ["SYNC_FLUSH", "ASYNC_FLUSH"]), "sync")).toThrow(
      "k=sync: not one of SYNC_FLUSH, ASYNC_FLUSH",
    );
  });
});

describe("textOf", () => {
  it("prints doubles as Java does", () => {
    const texts = [0.8, 8000, 200_000, 12_345_678.5, 1e7, 0, -0.0005].map((each) => textOf(option("double"), each));
    expect(texts).toEqual(["0.8", "8000.0", "200000.0", "1.23456785E7", "1.0E7", "0.0", "-5.0E-4"]);
  });
});

describe("resolveDefault", () => {
  const symbol = (expression: string) => `\${${expression}}`;
  const machine = { userHome: "/h", rocketmqHome: "/r", hostName: "box", hostAddress: "10.0.0.1", cpuCount: 6 };

  it("puts the machine's facts in", () => {
    expect(resolveDefault(`${symbol("user.home")}/store`, machine)).toBe("/h/store");
    expect(resolveDefault(symbol("rocketmq.home"), machine)).toBe("/r");
    expect(resolveDefault(symbol("host.name"), machine)).toBe("box");
    expect(resolveDefault(symbol("host.address"), machine)).toBe("10.0.0.1");
    expect(resolveDefault(symbol("cpu"), machine)).toBe("6");
    expect(resolveDefault(symbol("cpu*2+16"), machine)).toBe("28");
    expect(resolveDefault(symbol("cpu+8"), machine)).toBe("14");
    expect(resolveDefault(symbol("min(cpu,4)"), machine)).toBe("4");
  });

  it("refuses an expression nobody wrote", () => {
    expect(() => resolveDefault(symbol("max(cpu,4)"), machine)).toThrow("max(cpu,4)");
  });
});

describe("nearestKey", () => {
  const keys = ["brokerIP1", "brokerIP2", "listenPort", "haListenPort", "fileReservedTime"];

  it("prefers the same letters in another case", () => {
    expect(nearestKey("brokerIp2", keys)).toBe("brokerIP2");
    expect(nearestKey("LISTENPORT", keys)).toBe("listenPort");
  });

  it("finds a slip of the finger", () => {
    expect(nearestKey("listnPort", keys)).toBe("listenPort");
    expect(nearestKey("fileReserveTime", keys)).toBe("fileReservedTime");
  });

  it("does not guess what is far away", () => {
    expect(nearestKey("somethingElse", keys)).toBeUndefined();
  });
});
