/**
 * Counters and histograms with labels, as OpenTelemetry's SDK keeps them for Apache's metrics: one figure for each
 * combination of label values, at most as many as metricsOtelCardinalityLimit says; what comes beyond them is counted in one
 * figure that says so (`otel_metric_overflow="true"`, the SDK's label).
 */

/** Label values by label key. */
export type Labels = Readonly<Record<string, string>>;

const OVERFLOW: Labels = { otel_metric_overflow: "true" };

export class Counter {
  value = 0;

  /** On the hot path. */
  add(by: number): void {
    this.value += by;
  }
}

export class Histogram {
  /** Upper ends of the buckets, inclusive; one more bucket takes what is above the last. */
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  count = 0;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** On the hot path. */
  record(value: number): void {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]) bucket++;
    this.counts[bucket]++;
    this.count++;
    this.sum += value;
  }
}

/** Figures by key: whatever their finder tells them apart by, which is cheaper to look up than labels. */
export class Labelled<Key, Figure> {
  readonly #figures = new Map<Key, { readonly labels: Labels; readonly figure: Figure }>();
  readonly #make: () => Figure;
  readonly #limit: number;
  #overflow: Figure | undefined;

  /** @param limit combinations of labels, the one for all further ones among them */
  constructor(make: () => Figure, limit: number) {
    this.#make = make;
    this.#limit = limit;
  }

  /** The figure of a key, made with the labels that `labels` gives the first time. */
  get(key: Key, labels: () => Labels): Figure {
    const found = this.#figures.get(key);
    if (found !== undefined) return found.figure;
    if (this.#figures.size + 1 >= this.#limit) {
      this.#overflow ??= this.#make();
      return this.#overflow;
    }
    const figure = this.#make();
    this.#figures.set(key, { labels: labels(), figure });
    return figure;
  }

  find(key: Key): Figure | undefined {
    return this.#figures.get(key)?.figure;
  }

  *entries(): IterableIterator<readonly [Labels, Figure]> {
    for (const { labels, figure } of this.#figures.values()) yield [labels, figure];
    if (this.#overflow !== undefined) yield [OVERFLOW, this.#overflow];
  }
}
