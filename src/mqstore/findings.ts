/** What an audit found, counted by kind; of each kind only the first examples are kept, so that a ruined store fits into memory. */

/**
 * "note": worth knowing, nothing is wrong. "repair": wrong, and the next start mends it without loss. "problem": wrong; whether
 * a start mends it is shown by rehearsing one. "lost": something is gone that no start brings back, or no start succeeds.
 */
export type Weight = "note" | "repair" | "problem" | "lost";

export interface Finding {
  weight: Weight;
  /** Part of the store: log, queues, index, checkpoint, config, timers, transactions, directory. */
  area: string;
  /** Short name of what is wrong, the same for all findings of a kind. */
  kind: string;
  /** File or queue. */
  where: string;
  /** One sentence. */
  text: string;
}

const EXAMPLES_MAX = 10;

export class Findings {
  readonly examples: Finding[] = [];
  /** How often each kind was found: `area kind` to count. */
  readonly counts = new Map<string, number>();
  readonly #weights = new Map<Weight, number>();

  add(weight: Weight, area: string, kind: string, where: string, text: string): void {
    const name = `${area} ${kind}`;
    const count = (this.counts.get(name) ?? 0) + 1;
    this.counts.set(name, count);
    this.#weights.set(weight, this.of(weight) + 1);
    if (count <= EXAMPLES_MAX) this.examples.push({ weight, area, kind, where, text });
  }

  /** Whether another example of this kind would be kept: who must work for its text asks first. */
  wants(area: string, kind: string): boolean {
    return (this.counts.get(`${area} ${kind}`) ?? 0) < EXAMPLES_MAX;
  }

  /** How many findings have this weight. */
  of(weight: Weight): number {
    return this.#weights.get(weight) ?? 0;
  }

  /** Findings of a kind that {@link examples} leaves out. */
  leftOut(): [kind: string, count: number][] {
    return [...this.counts]
      .filter(([, count]) => count > EXAMPLES_MAX)
      .map(([kind, count]) => [kind, count - EXAMPLES_MAX]);
  }
}
