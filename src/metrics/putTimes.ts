/**
 * How long appends took from their arrival in the store until they were granted, by the minute (Apache:
 * StoreStatsService). Figures are those of the last full minute; the maximum is that of the whole run.
 */

/** Steps of the percentiles' buckets: width in ms, and how many of that width follow each other. */
const STEPS = [
  [1, 20],
  [2, 15],
  [5, 10],
  [10, 10],
  [50, 6],
  [100, 5],
  [1000, 9],
] as const;
const LONGEST_MS = 10_000;

/** Upper ends, ms: below the first counts into it. A time of 0 stands alone. */
const GROUPS: readonly (readonly [belowMs: number, name: string])[] = [
  [1, "[<=0ms]"],
  [10, "[0~10ms]"],
  [50, "[10~50ms]"],
  [100, "[50~100ms]"],
  [200, "[100~200ms]"],
  [500, "[200~500ms]"],
  [1000, "[500ms~1s]"],
  [2000, "[1~2s]"],
  [3000, "[2~3s]"],
  [4000, "[3~4s]"],
  [5000, "[4~5s]"],
  [10_000, "[5~10s]"],
  [Number.POSITIVE_INFINITY, "[10s~]"],
];

const ENDS = bucketEnds();
/** Bucket of each whole number of milliseconds; longer ones are in the last. */
const BUCKET_OF = Uint8Array.from({ length: LONGEST_MS + 1 }, (_, ms) => ENDS.findIndex((end) => ms <= end));

function bucketEnds(): number[] {
  const ends: number[] = [];
  let end = 0;
  for (const [width, count] of STEPS) {
    for (let i = 0; i < count; i++) {
      end += width;
      ends.push(end);
    }
  }
  return [...ends, Number.MAX_SAFE_INTEGER];
}

export class PutTimes {
  maxMs = 0;
  #buckets = new Uint32Array(ENDS.length);
  #groups = new Uint32Array(GROUPS.length);
  #lastBuckets = new Uint32Array(ENDS.length);
  /** Undefined until the first minute has passed. */
  #lastGroups: Uint32Array | undefined;

  /** On the hot path. A time below 0 (the wall clock went back) counts as 0. */
  add(ms: number): void {
    const whole = ms > LONGEST_MS ? LONGEST_MS + 1 : ms > 0 ? ms | 0 : 0;
    if (ms > this.maxMs) this.maxMs = ms;
    this.#buckets[whole > LONGEST_MS ? ENDS.length - 1 : BUCKET_OF[whole]]++;
    let group = 0;
    while (whole >= GROUPS[group][0]) group++;
    this.#groups[group]++;
  }

  /** A minute has passed: what was counted becomes what is shown. */
  turnMinute(): void {
    this.#lastBuckets = this.#buckets;
    this.#lastGroups = this.#groups;
    this.#buckets = new Uint32Array(ENDS.length);
    this.#groups = new Uint32Array(GROUPS.length);
  }

  /** `[<=0ms]:12 [0~10ms]:3 ...`; "null" in the first minute, as Apache prints it. */
  distribution(): string {
    const groups = this.#lastGroups;
    if (groups === undefined) return "null";
    return GROUPS.map(([, name], i) => `${name}:${groups[i]} `).join("");
  }

  /** The time that the share `part` of the last minute's appends did not exceed, ms, within its bucket by proportion. */
  percentileMs(part: number): number {
    const counts = this.#lastBuckets;
    const rank = Math.floor(counts.reduce((sum, count) => sum + count, 0) * part);
    let passed = 0;
    for (let i = 0; i < counts.length; i++) {
      if (rank > passed + counts[i]) {
        passed += counts[i];
        continue;
      }
      const begin = i === 0 ? 0 : ENDS[i - 1];
      return counts[i] === 0 ? begin : begin + ((ENDS[i] - begin) * (rank - passed)) / counts[i];
    }
    return 0;
  }
}
