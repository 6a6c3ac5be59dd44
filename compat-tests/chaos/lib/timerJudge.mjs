// The verdict on timers: a pure function of the outside log and of what the broker holds.

import { readFileSync } from "node:fs";
import { percentile } from "./options.mjs";

const SHOWN = 5;
/** Lateness says nothing while the broker is away, and while it catches up. */
const CATCH_UP_MS = 1_500;

/** Kinds of violation; each must stay 0. */
export const TIMER_KINDS = ["lost", "early", "recalledCame", "invented", "altered"];

export function readTimerLog(file) {
  const timers = new Map();
  const away = [];
  for (const line of readFileSync(file, "latin1").split("\n")) {
    const [kind, a, b, c] = line.split(" ");
    const timer = timers.get(a);
    switch (kind) {
      case "":
        break;
      case "S":
        timers.set(a, { due: Number(b), crc: Number(c), acked: false, recall: undefined });
        break;
      case "A":
        timer.acked = true;
        break;
      case "R":
        timer.recall = "asked";
        break;
      case "K":
        timer.recall = "acked";
        break;
      case "F":
        timer.recall = undefined;
        break;
      case "X":
        away.push({ from: Number(a), to: Number.POSITIVE_INFINITY });
        break;
      case "U":
        if (away.length > 0) away.at(-1).to = Number(a);
        break;
      default:
        throw new Error(`the audit log has a line of unknown kind: ${line.slice(0, 80)}`);
    }
  }
  return { timers, away };
}

/**
 * @param {{ timers: Map<string, object>, away: { from: number, to: number }[] }} log see readTimerLog
 * @param {object[]} records of the topic, see drain
 * @param {number} precisionMs a slot of the broker's wheel
 */
export function judgeTimers({ timers, away }, records, precisionMs) {
  const counts = Object.fromEntries(TIMER_KINDS.map((kind) => [kind, 0]));
  const examples = {};
  const add = (kind, text) => {
    counts[kind]++;
    examples[kind] ??= [];
    if (examples[kind].length < SHOWN) examples[kind].push(text);
  };
  const came = new Map();
  const errors = [];
  for (const { id, crc, storeTime } of records) {
    const timer = timers.get(id);
    if (timer === undefined) {
      add("invented", `${id}`);
      continue;
    }
    const copies = (came.get(id) ?? 0) + 1;
    came.set(id, copies);
    if (timer.crc !== crc) add("altered", `${id}: crc ${crc} instead of ${timer.crc}`);
    if (storeTime < timer.due) add("early", `${id} came ${timer.due - storeTime} ms before its time`);
    if (timer.recall === "acked") add("recalledCame", `${id}`);
    // A slot is read at its end.
    const slotEnd = Math.ceil(timer.due / precisionMs) * precisionMs;
    const excused = away.some(({ from, to }) => slotEnd >= from - 1_000 && slotEnd <= to + CATCH_UP_MS);
    // A second copy is no delivery but the repetition of one.
    if (copies === 1 && !excused) errors.push(storeTime - slotEnd);
  }
  for (const [id, { acked, recall }] of timers) {
    if (acked && recall === undefined && !came.has(id)) add("lost", id);
  }
  const duplicates = [...came.values()].filter((n) => n > 1).length;
  const twice = records.filter(({ id }) => came.get(id) > 1).slice(0, 2 * SHOWN);
  examples.duplicate = twice.map(({ id, logOffset, storeTime }) => {
    return `${id} due ${timers.get(id).due} came ${storeTime} at log offset ${logOffset}`;
  });
  const ok = Object.values(counts).every((n) => n === 0);
  const error = {
    p50: percentile(errors, 0.5),
    p99: percentile(errors, 0.99),
    max: Math.max(0, ...errors),
    of: errors.length,
  };
  return { ok, counts, examples, duplicates, error, came: came.size };
}

/** Defects planted in the evidence; the verdict must find each. */
export const TIMER_CANARIES = {
  loss: {
    kind: "lost",
    plant: ({ timers }, records) => {
      const i = records.findIndex(({ id }) => timers.get(id)?.acked && timers.get(id).recall === undefined);
      const { id } = records[i];
      return records.filter((record) => record.id !== id);
    },
  },
  early: {
    kind: "early",
    plant: ({ timers }, records) => [
      { ...records[0], storeTime: timers.get(records[0].id).due - 1 },
      ...records.slice(1),
    ],
  },
  "recall-ignored": {
    kind: "recalledCame",
    plant: ({ timers }, records) => {
      const [id, { due, crc }] = [...timers].find(([, timer]) => timer.recall === "acked");
      return [...records, { id, crc, storeTime: due }];
    },
  },
  altered: {
    kind: "altered",
    plant: (_, records) => [{ ...records[0], crc: records[0].crc ^ 1 }, ...records.slice(1)],
  },
  invented: { kind: "invented", plant: (_, records) => [...records, { id: "t.9.9.9", crc: 0, storeTime: 0 }] },
};
