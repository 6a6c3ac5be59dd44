import { Buffer } from "node:buffer";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fakeClock.ts";
import { localTimestamp, repeat, sleep } from "./clock.ts";
import { bodyCrc32, crc32, crc32Of } from "./crc32.ts";
import { formatHost, hostBytes } from "./host.ts";
import { readInt64, readInt64OrMinus1, writeInt32, writeInt64 } from "./int64.ts";
import { Interner } from "./interner.ts";
import { javaHashCode, javaHashUtf8 } from "./javaHash.ts";
import { seededRandom } from "./random.ts";
import { Turn } from "./turn.ts";

describe("int64", () => {
  it("is written and read as Java does, for every safe integer", () => {
    const buf = Buffer.alloc(10, 0xee);
    const edges = [
      0,
      1,
      -1,
      2 ** 31,
      2 ** 32,
      2 ** 32 - 1,
      -(2 ** 32),
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
    ];
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...edges), fc.maxSafeInteger()), (value) => {
        writeInt64(buf, value, 1);
        expect(buf.readBigInt64BE(1)).toBe(BigInt(value));
        expect(readInt64(buf, 1)).toBe(value);
        expect([buf[0], buf[9]]).toEqual([0xee, 0xee]);
      }),
    );
  });

  it("outside of the safe range is refused, never rounded", () => {
    const buf = Buffer.alloc(8);
    for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)]) {
      buf.writeBigInt64BE(value);
      expect(() => readInt64(buf, 0)).toThrow(RangeError);
      expect(readInt64OrMinus1(buf, 0)).toBe(-1);
    }
  });

  it("int32 takes any bit pattern", () => {
    const buf = Buffer.alloc(4);
    for (const value of [0, -1, 0x7fffffff, -0x80000000, 0xdaa320a7, 0xdaa320a7 | 0]) {
      writeInt32(buf, value, 0);
      expect(buf.readInt32BE(0)).toBe(value | 0);
    }
  });
});

describe("CRC-32", () => {
  it("is zlib's for every length and place; a body's has no sign bit", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, start) => {
        const buf = Buffer.from(bytes);
        const from = Math.min(start, buf.length);
        expect(crc32(buf, from, buf.length)).toBe(zlibCrc32(buf.subarray(from)));
        expect(bodyCrc32(buf, from, buf.length)).toBe(zlibCrc32(buf.subarray(from)) & 0x7fffffff);
        expect(crc32Of(buf)).toBe(zlibCrc32(buf));
      }),
    );
    expect(crc32Of(Buffer.from("123456789"))).toBe(0xcbf43926);
  });
});

describe("Java's String.hashCode", () => {
  it("is known for some strings", () => {
    expect(javaHashCode("")).toBe(0);
    expect(javaHashCode("TagA")).toBe(2598919);
    expect(javaHashCode("polygenelubricants")).toBe(-2147483648);
  });

  it("over UTF-8 bytes is that of the string, from any begun hash, surrogates and all", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 30 }),
        fc.string({ unit: "binary", maxLength: 30 }),
        (a, b) => {
          const bytes = Buffer.from(b);
          fc.pre(bytes.toString() === b);
          expect(javaHashUtf8(javaHashCode(a), bytes, 0, bytes.length)).toBe(javaHashCode(a + b));
        },
      ),
    );
  });
});

describe("hosts", () => {
  it("become the bytes of a record and Java's text", () => {
    expect(hostBytes("127.0.0.1", 10_911).toString("hex")).toBe("7f00000100002a9f");
    expect(hostBytes("::ffff:10.0.0.1", 1)).toEqual(hostBytes("10.0.0.1", 1));
    expect(hostBytes("2001:db8::7:8", 61_000).toString("hex")).toBe("20010db8000000000000000000070008" + "0000ee48");
    expect(hostBytes("::", 0).toString("hex")).toBe("00".repeat(20));
    expect(hostBytes("1:2:3:4:5:6:7:8", 0).toString("hex", 0, 16)).toBe("00010002000300040005000600070008");
    expect(hostBytes("fe80::1%eth0", 0)).toEqual(hostBytes("fe80::1", 0));
    expect(hostBytes("64:ff9b::1.2.3.4", 0).toString("hex", 12, 16)).toBe("01020304");
    expect(formatHost(hostBytes("10.1.2.3", 80))).toBe("10.1.2.3:80");
    expect(formatHost(hostBytes("2001:db8::7", 80))).toBe("[2001:db8:0:0:0:0:0:7]:80");
    expect(() => hostBytes("localhost", 1)).toThrow(/not an IP address/);
  });
});

describe("the interner", () => {
  it("gives the string of the bytes, also when slots collide", () => {
    const interner = new Interner();
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 300 }), { maxLength: 50 }), (texts) => {
        for (const text of [...texts, ...texts]) {
          const bytes = Buffer.from(`..${text}..`);
          expect(interner.get(bytes, 2, bytes.length - 2)).toBe(Buffer.from(text).toString());
        }
      }),
    );
  });
});

describe("seeded chance", () => {
  it("repeats, differs by seed, and stays in its bounds", () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed);
      return Array.from({ length: 100 }, () => random.int(10));
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(new Set(draw(3)).size).toBe(10);
    expect(draw(4).every((n) => n >= 0 && n < 10)).toBe(true);
  });
});

describe("a turn", () => {
  it("runs all commits before all outputs, once however often it was asked for", async () => {
    const clock = new FakeClock();
    const turn = new Turn(clock);
    const order: string[] = [];
    turn.onOutput(() => order.push("output 1"));
    turn.onCommit(() => order.push("commit 1"));
    turn.onCommit(() => order.push("commit 2"));
    turn.onOutput(() => order.push("output 2"));
    turn.request();
    turn.request();
    expect(order).toEqual([]);
    await clock.settle();
    expect(order).toEqual(["commit 1", "commit 2", "output 1", "output 2"]);
    await clock.settle();
    expect(order).toHaveLength(4);
  });

  it("asked for by an output comes again; asked for by a commit is this one", async () => {
    const clock = new FakeClock();
    const turn = new Turn(clock);
    let commits = 0;
    let outputs = 0;
    turn.onCommit(() => {
      if (++commits === 1) turn.request();
    });
    turn.onOutput(() => {
      if (++outputs === 1) turn.request();
    });
    turn.request();
    await clock.settle();
    expect([commits, outputs]).toEqual([2, 2]);
  });
});

describe("the clock", () => {
  it("sleeps on the given clock only", async () => {
    const clock = new FakeClock();
    let done = false;
    void sleep(clock, 1000).then(() => {
      done = true;
    });
    await clock.advance(999);
    expect(done).toBe(false);
    await clock.advance(1);
    expect(done).toBe(true);
  });

  it("names files by local time", () => {
    const time = new Date(2026, 0, 2, 3, 4, 5, 6).getTime();
    expect(localTimestamp(time)).toBe("20260102030405006");
  });
});

describe("repeat", () => {
  it("asks for the period each time, and ends", async () => {
    const clock = new FakeClock();
    let periodMs = 100;
    let times = 0;
    const end = repeat(
      clock,
      () => periodMs,
      () => {
        times++;
      },
    );
    await clock.advance(200);
    expect(times).toBe(2);
    periodMs = 1000;
    await clock.advance(1000);
    // The one under way was armed before.
    expect(times).toBe(3);
    await clock.advance(1000);
    expect(times).toBe(4);
    end();
    await clock.advance(5000);
    expect(times).toBe(4);
    expect(clock.timers).toBe(0);
  });
});
