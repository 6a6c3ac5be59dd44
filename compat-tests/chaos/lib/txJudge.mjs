// The verdict on transactions: a pure function of the outside log and of what the broker holds.

import { TX_TOPIC } from "./txNames.mjs";

const SHOWN = 5;
/** A check may cross the answer to an end. */
const CROSSING_MS = 3_000;

/** Kinds of violation; each must stay 0. */
export const TX_KINDS = [
  "lost",
  "rolledBackSeen",
  "committedTwice",
  "invented",
  "altered",
  "misplaced",
  "offsetGap",
  "askedAfterEnd",
  "leftUndecided",
];

/**
 * @param {object} log see readTxLog
 * @param {object[]} queues see harvest
 * @param {{ undecided: number }} options half messages that nobody decided in the end
 */
export function judgeTx(log, queues, { undecided }) {
  const counts = Object.fromEntries(TX_KINDS.map((kind) => [kind, 0]));
  const examples = {};
  const add = (kind, text) => {
    counts[kind]++;
    examples[kind] ??= [];
    if (examples[kind].length < SHOWN) examples[kind].push(text);
  };
  const times = new Map();
  for (const { topic, queueId, min, max, records } of queues) {
    let expected = min;
    for (const record of records) {
      const where = `${topic}-${queueId}@${record.queueOffset}`;
      if (record.queueOffset !== expected) add("offsetGap", `${where} follows ${expected - 1}`);
      expected = record.queueOffset + 1;
      const sent = log.sent.get(record.id);
      if (sent === undefined) {
        add("invented", `${where}: ${record.id}`);
        continue;
      }
      if (
        record.crc !== sent.crc ||
        record.storedCrc !== sent.crc ||
        record.bytes !== sent.bytes ||
        record.key !== record.id
      ) {
        add("altered", `${where}: ${record.id} crc ${record.crc}, sent ${sent.crc}, key ${record.key}`);
      }
      if (record.topic !== TX_TOPIC || Number(record.id.split(".")[2]) !== queueId)
        add("misplaced", `${where}: ${record.id}`);
      times.set(record.id, (times.get(record.id) ?? 0) + 1);
      if (sent.outcome === "rollback") add("rolledBackSeen", `${where}: ${record.id}`);
    }
    if (expected !== max) add("offsetGap", `${topic}-${queueId} ends at ${expected}, its maximum is ${max}`);
  }
  for (const [id, count] of times) if (count > 1) add("committedTwice", `${id}: ${count} times`);
  for (const [id, { outcome }] of log.sent) {
    if (outcome === "commit" && log.acked.has(id) && !times.has(id)) add("lost", `${id}, told ${log.told.has(id)}`);
  }
  for (const [id, endedAt] of log.ended) {
    const late = (log.asked.get(id) ?? []).filter((at) => at > endedAt + CROSSING_MS);
    if (late.length > 0)
      add("askedAfterEnd", `${id}: asked ${(late[0] - endedAt).toFixed(0)} ms after its end was acknowledged`);
  }
  counts.leftUndecided = undecided;
  return { counts, examples, ok: Object.values(counts).every((n) => n === 0), stored: times.size };
}

/** The deliberate defects. Each changes the evidence in one place; the verdict must name it. */
export const TX_CANARIES = {
  loss: {
    kind: "lost",
    plant(log, queues) {
      const { records } = longest(queues);
      const times = new Map();
      for (const { id } of records) times.set(id, (times.get(id) ?? 0) + 1);
      records.splice(
        records.findIndex(({ id }) => times.get(id) === 1 && log.acked.has(id)),
        1,
      );
    },
  },
  "rolled-back": {
    kind: "rolledBackSeen",
    plant(log, queues) {
      const [id, sent] = [...log.sent].find(([one, { outcome }]) => outcome === "rollback" && log.acked.has(one));
      const queue = queues[Number(id.split(".")[2])];
      const { crc, bytes } = sent;
      queue.records.push({ ...queue.records[0], id, key: id, crc, storedCrc: crc, bytes, queueOffset: queue.max });
      queue.max++;
    },
  },
  twice: {
    kind: "committedTwice",
    plant(_log, queues) {
      const queue = longest(queues);
      queue.records.push({ ...queue.records[3], queueOffset: queue.max });
      queue.max++;
    },
  },
  altered: {
    kind: "altered",
    plant(_log, queues) {
      const { records } = longest(queues);
      records[5] = { ...records[5], crc: records[5].crc ^ 1 };
    },
  },
  invented: {
    kind: "invented",
    plant(_log, queues) {
      const { records } = longest(queues);
      records[4] = { ...records[4], id: "t.9.0.1" };
    },
  },
  "asked-after-end": {
    kind: "askedAfterEnd",
    plant(log) {
      const [id, at] = [...log.ended][0];
      log.asked.set(id, [at + 10 * CROSSING_MS]);
    },
  },
};

function longest(queues) {
  return queues.reduce((a, b) => (b.records.length > a.records.length ? b : a));
}

/** Judges copies of the evidence with each defect planted; returns the names of the defects that were not caught. */
export function uncaughtTxCanaries(readLog, queues, options) {
  const missed = [];
  for (const [name, canary] of Object.entries(TX_CANARIES)) {
    const log = readLog();
    const copy = queues.map((q) => ({ ...q, records: [...q.records] }));
    canary.plant(log, copy);
    if (judgeTx(log, copy, options).counts[canary.kind] === 0) missed.push(name);
  }
  return missed;
}
