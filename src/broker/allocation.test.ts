import { describe, expect, it } from "vitest";
import { allocateForPop, compareQueues, STRATEGIES } from "./allocation.ts";

const queues = (count: number, brokers = 1) =>
  Array.from({ length: brokers }, (_, b) =>
    Array.from({ length: count }, (_, queueId) => ({ topic: "T", brokerName: `b${b}`, queueId })),
  ).flat();
const members = (count: number) => Array.from({ length: count }, (_, i) => `c${i}`);

describe("allocation", () => {
  for (const [name, strategy] of STRATEGIES) {
    it(`${name} gives every queue to exactly one member, in parts that differ by one at most`, () => {
      for (let q = 1; q <= 12; q++) {
        for (let c = 1; c <= 14; c++) {
          const parts = members(c).map((id) => strategy(id, queues(q), members(c)).map((queue) => queue.queueId));
          expect(parts.flat().sort((a, b) => a - b)).toEqual(queues(q).map((queue) => queue.queueId));
          const sizes = parts.map((part) => part.length);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        }
      }
      expect(strategy("stranger", queues(4), members(2))).toEqual([]);
    });
  }

  it("AVG gives neighbours, AVG_BY_CIRCLE every n-th, as Apache's classes do", () => {
    const of = (name: string, id: string) =>
      STRATEGIES.get(name)!(id, queues(7), members(3)).map((queue) => queue.queueId);
    expect([of("AVG", "c0"), of("AVG", "c1"), of("AVG", "c2")]).toEqual([
      [0, 1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect([of("AVG_BY_CIRCLE", "c0"), of("AVG_BY_CIRCLE", "c1"), of("AVG_BY_CIRCLE", "c2")]).toEqual([
      [0, 3, 6],
      [1, 4],
      [2, 5],
    ]);
  });

  const average = STRATEGIES.get("AVG")!;
  const popped = (id: string, q: number, c: number, share: number, brokers = 1) =>
    allocateForPop(average, id, queues(q, brokers), members(c), share).map((one) => `${one.brokerName}/${one.queueId}`);

  it("for pop: all pop all, one queue -1 per broker, unless fewer share than there are others", () => {
    expect(popped("c1", 4, 3, 0)).toEqual(["b0/-1"]);
    expect(popped("c1", 4, 3, -1, 2)).toEqual(["b0/-1", "b1/-1"]);
    expect(popped("c1", 4, 3, 2)).toEqual(["b0/-1"]);
    expect(popped("c0", 6, 3, 1)).toEqual(["b0/0", "b0/1", "b0/2", "b0/3"]);
    expect(popped("c2", 6, 3, 1)).toEqual(["b0/4", "b0/5", "b0/0", "b0/1"]);
  });

  it("for pop: with more members than queues each gets one", () => {
    expect(popped("c4", 3, 5, 1)).toEqual(["b0/1"]);
  });

  it("sorts queues as Apache does", () => {
    const mixed = [
      { topic: "T", brokerName: "b", queueId: 10 },
      { topic: "T", brokerName: "a", queueId: 11 },
      { topic: "S", brokerName: "z", queueId: 12 },
      { topic: "T", brokerName: "b", queueId: 9 },
    ];
    expect(mixed.sort(compareQueues).map((queue) => queue.queueId)).toEqual([12, 11, 9, 10]);
  });
});
