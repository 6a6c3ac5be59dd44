// The verdict of `npm run chaos -- pop`, from the outside log alone.
//
//   lost          acknowledged to its sender, never popped
//   forgotten     never acknowledged, and it did not come again; it may stay away where the acknowledgement of its last handle
//                 was under way when the broker died: that one may or may not have been taken
//   resurrected   popped after an acknowledgement that was answered well before its deadline
//   early         popped again before the deadline under which somebody had it
//
// An acknowledgement that came at or after the deadline proves nothing: the message may have been on its way already.

import { readFileSync } from "node:fs";

/** The clocks are one, but an answer takes its time. */
const MARGIN_MS = 250;

export function readPopLog(file) {
  const log = { sent: new Set(), acked: new Set(), messages: new Map(), kills: 0, starts: [] };
  const of = (id) => {
    let events = log.messages.get(id);
    if (events === undefined) {
      events = [];
      log.messages.set(id, events);
    }
    return events;
  };
  for (const line of readFileSync(file, "latin1").split("\n")) {
    if (line === "") continue;
    const [kind, id, a, b, c] = line.split(" ");
    if (kind === "S") log.sent.add(id);
    else if (kind === "A") log.acked.add(id);
    else if (kind === "X") log.kills++;
    else if (kind === "U") log.starts.push(Number(id));
    else if (kind === "P") of(id).push({ kind, key: a, at: Number(b), due: Number(c) });
    else if (kind === "M") of(id).push({ kind, key: a, next: b, due: Number(c) });
    else if (kind === "K" || kind === "D" || kind === "N") of(id).push({ kind, key: a, at: Number(b) });
    else throw new Error(`the audit log has a line of unknown kind: ${line.slice(0, 80)}`);
  }
  return log;
}

export function judgePops(log) {
  const found = { lost: [], invented: [], forgotten: [], resurrected: [], early: [] };
  let deliveries = 0;
  let confirmed = 0;
  let unanswered = 0;
  const lateness = [];
  for (const id of log.acked) if (!log.messages.has(id)) found.lost.push(id);
  for (const [id, events] of log.messages) {
    if (!log.sent.has(id)) found.invented.push(id);
    const pops = events.filter((event) => event.kind === "P");
    deliveries += pops.length;
    const dueOf = new Map(events.filter((e) => e.kind === "P").map((e) => [e.key, e.due]));
    for (const event of events) if (event.kind === "M") dueOf.set(event.next, event.due);
    const doneAt = confirmedAt(events, dueOf);
    if (doneAt !== undefined) confirmed++;
    for (const pop of pops)
      if (doneAt !== undefined && pop.at > doneAt)
        found.resurrected.push(`${id} at ${pop.at}, acknowledged at ${doneAt}`);
    if (!events.some((event) => event.kind === "D")) {
      if (lastAckSent(events)) unanswered++;
      else found.forgotten.push(`${id}, popped ${pops.length} times`);
    }
    checkEarly(id, events, pops, dueOf, found.early, lateness);
  }
  const ok = Object.values(found).every((list) => list.length === 0);
  return { found, deliveries, confirmed, unanswered, lateness, ok };
}

/** Whether the newest handle of a message was sent back, answered or not. */
function lastAckSent(events) {
  let key;
  for (const event of events) {
    if (event.kind === "P") key = event.key;
    else if (event.kind === "M" && event.key === key) key = event.next;
  }
  return events.some((event) => event.kind === "K" && event.key === key);
}

/** When a message was acknowledged beyond doubt: answered well before the deadline of the handle that was used. */
function confirmedAt(events, dueOf) {
  let first;
  for (const event of events) {
    if (event.kind !== "D" || event.at + MARGIN_MS > (dueOf.get(event.key) ?? 0)) continue;
    // A handle that was exchanged for another is no longer the message's.
    if (events.some((other) => other.kind === "N" && other.key === event.key)) continue;
    if (first === undefined || event.at < first) first = event.at;
  }
  return first;
}

/** Each pop must be behind the deadline of the one before it, as far as its client knows that deadline. */
function checkEarly(id, events, pops, dueOf, early, lateness) {
  const sorted = [...pops].sort((a, b) => a.at - b.at);
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[i - 1];
    const changes = events.filter((event) => event.kind === "N" && event.key === before.key);
    const answered = events.filter((event) => event.kind === "M" && event.key === before.key);
    // A change whose answer was lost may have made the deadline any other one.
    if (changes.length > answered.length) continue;
    const due = answered.length > 0 ? dueOf.get(answered[0].next) : before.due;
    if (sorted[i].at < due - 1) early.push(`${id} at ${sorted[i].at}, due ${due}`);
    else lateness.push(sorted[i].at - due);
  }
}

/** Falsifications of the evidence, each of which the judge must see. */
export const POP_CANARIES = {
  lost: (log) => {
    const id = [...log.acked].find((one) => log.messages.has(one));
    log.messages.delete(id);
  },
  forgotten: (log) => {
    for (const [id, events] of log.messages) {
      if (!events.some((event) => event.kind === "D")) continue;
      log.messages.set(
        id,
        events.filter((event) => event.kind !== "D" && event.kind !== "K"),
      );
      return;
    }
  },
  resurrected: (log) => {
    for (const events of log.messages.values()) {
      const dueOf = new Map(events.filter((e) => e.kind === "P").map((e) => [e.key, e.due]));
      const at = confirmedAt(events, dueOf);
      if (at === undefined) continue;
      events.push({ kind: "P", key: "planted", at: at + 10_000, due: at + 20_000 });
      return;
    }
  },
  early: (log) => {
    for (const events of log.messages.values()) {
      const pop = events.find((event) => event.kind === "P");
      if (pop === undefined || events.some((event) => event.kind === "N")) continue;
      events.push({ kind: "P", key: "planted", at: pop.due - 1_000, due: pop.due });
      return;
    }
  },
  invented: (log) => {
    log.messages.set("p.9.9", [
      { kind: "P", key: "x", at: 1, due: 2 },
      { kind: "D", key: "x", at: 1 },
    ]);
  },
};

/** Names of the canaries that the judge does not see in this run's evidence. */
export function uncaughtPopCanaries(readLog) {
  const missed = [];
  for (const [name, plant] of Object.entries(POP_CANARIES)) {
    const log = readLog();
    plant(log);
    if (judgePops(log).found[name].length === 0) missed.push(name);
  }
  return missed;
}
