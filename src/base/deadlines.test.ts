import { describe, expect, it } from "vitest";
import { Deadlines, type Due } from "./deadlines.ts";
import { seededRandom } from "./random.ts";

interface Item extends Due {
  id: number;
}

describe("Deadlines", () => {
  it("gives items in the order of their time and only when they are due", () => {
    const deadlines = new Deadlines<Item>();
    for (const [id, dueAt] of [30, 10, 20].entries()) deadlines.add({ id, dueAt, heapIndex: -1 });
    expect(deadlines.take(9)).toBeUndefined();
    expect(deadlines.take(20)?.dueAt).toBe(10);
    expect(deadlines.take(20)?.dueAt).toBe(20);
    expect(deadlines.take(20)).toBeUndefined();
    expect(deadlines.first?.dueAt).toBe(30);
  });

  it("agrees with a sorted list under random additions and removals", () => {
    const random = seededRandom(7);
    const deadlines = new Deadlines<Item>();
    let model: Item[] = [];
    for (let step = 0; step < 20_000; step++) {
      const act = random.int(3);
      if (act === 0 || model.length === 0) {
        const item = { id: step, dueAt: random.int(500), heapIndex: -1 };
        model.push(item);
        deadlines.add(item);
      } else if (act === 1) {
        const gone = model[random.int(model.length)];
        model = model.filter((item) => item !== gone);
        deadlines.remove(gone);
        expect(gone.heapIndex).toBe(-1);
        deadlines.remove(gone);
      } else {
        const now = random.int(500);
        const taken = deadlines.take(now);
        const earliest = Math.min(...model.map((item) => item.dueAt));
        expect(taken?.dueAt).toBe(earliest <= now ? earliest : undefined);
        model = model.filter((item) => item !== taken);
      }
      expect(deadlines.size).toBe(model.length);
    }
  });
});
