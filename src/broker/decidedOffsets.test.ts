import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DecidedOffsets } from "./decidedOffsets.ts";

/** The same, as a set of undecided offsets below a bound. */
class Model {
  base = 0;
  readonly decided = new Set<number>();

  has(offset: number): boolean {
    return offset < this.base || this.decided.has(offset);
  }

  nextUndecided(from: number, end: number): number {
    for (let at = Math.max(from, this.base); at < end; at++) if (!this.has(at)) return at;
    return Math.max(from, this.base) > end ? Math.max(end, Math.min(from, end)) : end;
  }

  delete(offset: number): void {
    if (offset < this.base) {
      for (let at = offset; at < this.base; at++) this.decided.add(at);
      this.base = offset;
    }
    this.decided.delete(offset);
  }
}

describe("decided offsets", () => {
  it("behave like a set of numbers (model)", () => {
    const step = fc.tuple(fc.constantFrom("add", "delete", "advance", "next"), fc.nat(40_000), fc.nat(3000));
    fc.assert(
      fc.property(fc.nat(70_000), fc.array(step, { maxLength: 60 }), (start, steps) => {
        const real = new DecidedOffsets();
        const model = new Model();
        real.reset(start);
        model.base = start;
        for (const [what, offset, more] of steps) {
          const at = start + offset;
          if (what === "add") {
            real.add(at);
            if (at >= model.base) model.decided.add(at);
          } else if (what === "delete") {
            real.delete(at);
            model.delete(at);
          } else if (what === "advance") {
            real.advance(at);
            model.base = Math.max(model.base, at);
          } else if (Math.max(at, model.base) < at + more) {
            expect(real.nextUndecided(at, at + more)).toBe(model.nextUndecided(at, at + more));
          }
          expect(real.base).toBe(model.base);
          for (const one of [at, at - 1, at + 1, at + 31, at + 32, model.base]) {
            if (one >= 0) expect(real.has(one)).toBe(model.has(one));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("find the one that waits among a million that are decided", () => {
    const decided = new DecidedOffsets();
    decided.reset(7);
    for (let at = 7; at < 1_000_000; at++) if (at !== 765_431) decided.add(at);
    expect(decided.nextUndecided(0, 1_000_000)).toBe(765_431);
    expect(decided.nextUndecided(765_432, 1_000_000)).toBe(1_000_000);
    decided.advance(765_431);
    expect([decided.has(765_430), decided.has(765_431), decided.has(765_432)]).toEqual([true, false, true]);
  });
});
