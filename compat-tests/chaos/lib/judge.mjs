// The verdict: a pure function of the outside log and of what the broker holds.

import { DELAY_TOPIC, ORDER_TOPIC, RETRY_TOPIC } from "./names.mjs";

const SHOWN = 5;

class Findings {
  counts = {};
  examples = {};

  add(kind, text) {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.examples[kind] ??= [];
    if (this.examples[kind].length < SHOWN) this.examples[kind].push(text);
  }
}

/** Kinds of violation; each must stay 0. */
export const KINDS = [
  "lost",
  "invented",
  "altered",
  "doubled",
  "orderBreak",
  "offsetGap",
  "misplaced",
  "seenThenChanged",
  "lostDelayed",
  "lostSentBack",
  "progressInvented",
  "progressLost",
];

/**
 * @param {object} log see readAuditLog
 * @param {object[]} queues see harvest
 * @param {{ progressMs: number }} options commits older than this before a kill must have survived it
 * @returns {{ counts: Record<string, number>, examples: Record<string, string[]>, duplicates: Record<string, number>, ok: boolean, stored: number }}
 */
export function judge(log, queues, { progressMs }) {
  const found = new Findings();
  const duplicates = { [ORDER_TOPIC]: 0, [DELAY_TOPIC]: 0, [RETRY_TOPIC]: 0 };
  let stored = 0;
  const present = new Map();
  const count = (topic, id) => {
    const key = `${topic} ${id}`;
    const n = present.get(key) ?? 0;
    present.set(key, n + 1);
    return n;
  };

  for (const { topic, queueId, min, max, records } of queues) {
    const place = `${topic}-${queueId}`;
    let expected = min;
    const last = new Map();
    for (const record of records) {
      stored++;
      const where = `${place}@${record.queueOffset}`;
      if (record.queueOffset !== expected) found.add("offsetGap", `${where} follows ${expected - 1}`);
      expected = record.queueOffset + 1;
      if (record.topic !== topic || record.queueId !== queueId)
        found.add("misplaced", `${where} says ${record.topic}-${record.queueId}`);
      const sent = log.sent.get(record.id);
      if (sent === undefined) {
        found.add("invented", `${where}: ${record.id}`);
        continue;
      }
      if (
        record.crc !== sent.crc ||
        record.bytes !== sent.bytes ||
        record.storedCrc !== sent.crc ||
        record.key !== record.id
      ) {
        found.add(
          "altered",
          `${where}: ${record.id} crc ${record.crc}, sent ${sent.crc}, stored ${record.storedCrc}, key ${record.key}`,
        );
      }
      const [kind, producer, queue, seqText] = record.id.split(".");
      if (topic !== RETRY_TOPIC && (Number(queue) !== queueId || (kind === "d") !== (topic === DELAY_TOPIC))) {
        found.add("misplaced", `${where}: ${record.id}`);
      }
      const before = count(topic, record.id);
      if (before > 0) {
        duplicates[topic]++;
        // A message sent again may be stored again, but not more often than that.
        if (topic === ORDER_TOPIC && before > (log.again.get(record.id) ?? 0))
          found.add("doubled", `${where}: ${record.id}`);
        continue;
      }
      // Order is promised by the first appearance of each message that the server never refused.
      if (topic !== ORDER_TOPIC || log.refused.has(record.id)) continue;
      const seq = Number(seqText);
      const newest = last.get(producer) ?? -1;
      if (seq < newest) found.add("orderBreak", `${where}: ${record.id} after ${newest}`);
      else last.set(producer, seq);
    }
    if (expected !== max) found.add("offsetGap", `${place} ends at ${expected}, its maximum is ${max}`);
    if (min !== 0) found.add("offsetGap", `${place} begins at ${min}`);
  }

  const orderRecords = new Map();
  for (const { topic, queueId, records } of queues) {
    if (topic === ORDER_TOPIC)
      for (const r of records) orderRecords.set(`${queueId}:${r.queueOffset}`, `${r.id} ${r.crc}`);
  }
  for (const [id, offsets] of log.acked) {
    const delayed = id.startsWith("d.");
    if (!present.has(`${delayed ? DELAY_TOPIC : ORDER_TOPIC} ${id}`)) {
      found.add(delayed ? "lostDelayed" : "lost", id);
      continue;
    }
    // An acknowledgement names the offset: the message must lie exactly there.
    if (delayed) continue;
    const queueId = id.split(".")[2];
    for (const offset of offsets) {
      const there = orderRecords.get(`${queueId}:${offset}`);
      if (there?.split(" ")[0] !== id)
        found.add("misplaced", `${id} was acknowledged at ${queueId}@${offset}, where ${there} lies`);
    }
  }
  for (const [id, times] of log.sentBack) {
    if ((present.get(`${RETRY_TOPIC} ${id}`) ?? 0) < times)
      found.add("lostSentBack", `${id}: ${times} times acknowledged`);
  }
  for (const [place, contents] of log.seen) {
    const now = orderRecords.get(place);
    for (const content of contents) {
      if (content !== now) found.add("seenThenChanged", `queue ${place}: a consumer saw ${content}, now ${now}`);
    }
  }
  judgeProgress(log.commits, progressMs, found);

  const counts = Object.fromEntries(KINDS.map((kind) => [kind, found.counts[kind] ?? 0]));
  return { counts, examples: found.examples, duplicates, stored, ok: Object.values(counts).every((n) => n === 0) };
}

/** Replays commits and restarts: an offset read back must have been committed, and not be older than what was safe. */
function judgeProgress(events, progressMs, found) {
  /** queue -> offsets whose commit was begun; answered ones with their time. */
  const begun = new Map();
  const answered = new Map();
  const safe = new Map();
  for (const event of [...events].sort((x, y) => x.at - y.at)) {
    const { kind, queue, offset, at } = event;
    if (kind === "C") begun.set(queue, Math.max(begun.get(queue) ?? 0, offset));
    else if (kind === "K") {
      if (!answered.has(queue)) answered.set(queue, []);
      answered.get(queue).push({ offset, at });
    } else if (kind === "X") {
      for (const [name, list] of answered) {
        for (const one of list) if (one.at < at - progressMs) safe.set(name, Math.max(safe.get(name) ?? 0, one.offset));
        answered.set(name, []);
      }
    } else if (kind === "Q") {
      if (offset > (begun.get(queue) ?? 0))
        found.add("progressInvented", `queue ${queue} stands at ${offset}, committed at most ${begun.get(queue) ?? 0}`);
      if (offset < (safe.get(queue) ?? 0))
        found.add("progressLost", `queue ${queue} fell back to ${offset}, ${safe.get(queue)} was safe`);
    }
  }
}

/** The deliberate defects. Each changes the evidence in one place; the verdict must name it. */
export const CANARIES = {
  loss: {
    kind: "lost",
    plant(log, queues) {
      const queue = queues.find((q) => q.topic === ORDER_TOPIC && q.records.length > 10);
      const counts = new Map();
      for (const r of queue.records) counts.set(r.id, (counts.get(r.id) ?? 0) + 1);
      const victim = queue.records.findIndex((r) => counts.get(r.id) === 1 && log.acked.has(r.id));
      queue.records.splice(victim, 1);
    },
  },
  altered: {
    kind: "altered",
    plant(_log, queues) {
      const { records } = queues.find((q) => q.records.length > 10);
      records[5] = { ...records[5], crc: records[5].crc ^ 1 };
    },
  },
  doubled: {
    kind: "doubled",
    plant(log, queues) {
      const queue = queues.find((q) => q.topic === ORDER_TOPIC && q.records.some(({ id }) => !log.again.has(id)));
      const victim = queue.records.find(({ id }) => !log.again.has(id));
      queue.records.push({ ...victim, queueOffset: queue.max++ });
    },
  },
  order: {
    kind: "orderBreak",
    plant(log, queues) {
      for (const { topic, records } of queues) {
        if (topic !== ORDER_TOPIC) continue;
        for (let i = 1; i < records.length; i++) {
          const [a, b] = [records[i - 1], records[i]];
          if (
            a.id === b.id ||
            a.id.split(".")[1] !== b.id.split(".")[1] ||
            log.refused.has(a.id) ||
            log.refused.has(b.id)
          )
            continue;
          records[i - 1] = { ...b, queueOffset: a.queueOffset };
          records[i] = { ...a, queueOffset: b.queueOffset };
          return;
        }
      }
      throw new Error("no two neighbours to swap");
    },
  },
  "false-ack": {
    kind: "lost",
    plant(log) {
      log.sent.set("o.0.0.99999999", { crc: 1, bytes: 1 });
      log.acked.set("o.0.0.99999999", [1]);
    },
  },
  invented: {
    kind: "invented",
    plant(_log, queues) {
      const { records } = queues.find((q) => q.records.length > 10);
      records[7] = { ...records[7], id: "o.9.0.1" };
    },
  },
  progress: {
    kind: "progressInvented",
    plant(log) {
      const last = log.commits.findLast((e) => e.kind === "Q" || e.kind === "K");
      log.commits.push({ kind: "Q", queue: last.queue, offset: 1e12, at: last.at + 1 });
    },
  },
};

/** Judges copies of the evidence with each defect planted; returns the names of the defects that were not caught. */
export function uncaughtCanaries(readLog, queues, options) {
  const missed = [];
  for (const [name, canary] of Object.entries(CANARIES)) {
    const log = readLog();
    const copy = queues.map((q) => ({ ...q, records: [...q.records] }));
    canary.plant(log, copy);
    if (judge(log, copy, options).counts[canary.kind] === 0) missed.push(name);
  }
  return missed;
}
