import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS, type Limits } from "../base/limits.ts";
import { Admission, type Waiting } from "./admission.ts";

const MIB = 1024 * 1024;

function admission(limits: Partial<Limits>): { admission: Admission; cut: string[]; peer(name: string): Waiting } {
  const cut: string[] = [];
  const made = new Admission({ ...DEFAULT_LIMITS, ...limits });
  return { admission: made, cut, peer: (name) => ({ cut: (reason) => cut.push(`${name}: ${reason}`) }) };
}

it("counts the connections of an address until they are gone", () => {
  const { admission: ports } = admission({ "limit.connectionsPerAddress": 2 });
  expect([ports.refuse("a"), ports.refuse("a"), ports.refuse("b")]).toEqual([undefined, undefined, undefined]);
  expect(ports.refuse("a")).toBe(
    "2 connections of this address are open, which is the most (limit.connectionsPerAddress)",
  );
  ports.left("a");
  expect(ports.refuse("a")).toBeUndefined();
});

describe("unfinished requests", () => {
  it("are cut off above the limit, the one that began first first", () => {
    const { admission: ports, cut, peer } = admission({ "limit.unfinishedRequestBytes": 10 });
    const [slow, quick, large] = [peer("slow"), peer("quick"), peer("large")];
    ports.holds(slow, 4);
    ports.holds(quick, 4);
    ports.holds(quick, 0);
    ports.holds(quick, 2);
    expect([cut, ports.unfinishedBytes]).toEqual([[], 6]);
    ports.holds(large, 5);
    expect(cut).toEqual([expect.stringMatching(/^slow: unfinished requests hold more than 10 bytes/)]);
    expect(ports.unfinishedBytes).toBe(7);
    ports.holds(slow, 0);
    expect(ports.unfinishedBytes).toBe(7);
  });

  it("may be one alone that is larger than allowed: it is the one to go", () => {
    const { admission: ports, cut, peer } = admission({ "limit.unfinishedRequestBytes": 10 });
    ports.holds(peer("only"), 11);
    expect([cut.length, ports.unfinishedBytes]).toEqual([1, 0]);
  });
});

it("cuts off who is behind with his answers for longest, when too many are", () => {
  const { admission: ports, cut, peer } = admission({ "limit.unsentAnswerBytes": 2 * MIB });
  const [a, b, c] = [peer("a"), peer("b"), peer("c")];
  for (const each of [a, b]) ports.behind(each, true);
  ports.behind(a, false);
  ports.behind(a, true);
  expect(cut).toEqual([]);
  ports.behind(c, true);
  expect(cut).toEqual([expect.stringMatching(/^b: answers that nobody takes hold more than 2097152 bytes/)]);
});
