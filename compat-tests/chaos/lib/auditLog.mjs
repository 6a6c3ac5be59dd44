// The outside log: what was sent, what the server acknowledged and what consumers saw, written with a synchronous write
// before anybody acts on it. The final audit reads the file, not the memory of the process that made it.
//
//   S id crc bytes          a message is about to be sent (once; resends carry the same bytes)
//   T id                    it is about to be sent once more
//   A id queueOffset        the server acknowledged it
//   R id code               the server refused it: its place in the order is free
//   P queue offset id crc   a consumer was given it
//   B id                    a send-back was acknowledged
//   C queue offset time     a consumer is about to commit
//   K queue offset time     the commit was answered
//   Q queue offset time     what the broker says is committed, after a restart
//   U time                  the broker came up; X time: it was killed (ms, monotonic clock of this machine)

import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

export class AuditLog {
  #fd;
  #pending = "";
  sent = 0;
  acks = 0;
  refused = 0;

  constructor(file) {
    this.file = file;
    this.#fd = openSync(file, "a");
  }

  /** Notes a line that nobody acts on yet; it goes out with the next {@link flush}. */
  note(line) {
    if (line[0] === "S") this.sent++;
    else if (line[0] === "A") this.acks++;
    else if (line[0] === "R") this.refused++;
    this.#pending += `${line}\n`;
    if (this.#pending.length > 1 << 16) this.flush();
  }

  /** After this the lines are outside of the process. */
  flush() {
    if (this.#pending === "") return;
    const bytes = Buffer.from(this.#pending);
    let at = 0;
    while (at < bytes.length) at += writeSync(this.#fd, bytes, at);
    this.#pending = "";
  }

  close() {
    this.flush();
    closeSync(this.#fd);
  }
}

/** The log as the audit wants it. */
export function readAuditLog(file) {
  const log = {
    sent: new Map(),
    /** How often each was sent again. */
    again: new Map(),
    acked: new Map(),
    refused: new Set(),
    seen: new Map(),
    sentBack: new Map(),
    commits: [],
    kills: 0,
  };
  for (const line of readFileSync(file, "latin1").split("\n")) {
    if (line === "") continue;
    const [kind, a, b, c, d] = line.split(" ");
    switch (kind) {
      case "S":
        log.sent.set(a, { crc: Number(b), bytes: Number(c) });
        break;
      case "T":
        log.again.set(a, (log.again.get(a) ?? 0) + 1);
        break;
      case "A":
        if (!log.acked.has(a)) log.acked.set(a, []);
        log.acked.get(a).push(Number(b));
        break;
      case "R":
        log.refused.add(a);
        break;
      case "P": {
        const place = `${a}:${b}`;
        if (!log.seen.has(place)) log.seen.set(place, new Set());
        log.seen.get(place).add(`${c} ${d}`);
        break;
      }
      case "B":
        log.sentBack.set(a, (log.sentBack.get(a) ?? 0) + 1);
        break;
      case "X":
        log.kills++;
        log.commits.push({ kind, at: Number(a) });
        break;
      case "U":
        log.commits.push({ kind, at: Number(a) });
        break;
      case "C":
      case "K":
      case "Q":
        log.commits.push({ kind, queue: a, offset: Number(b), at: Number(c) });
        break;
      default:
        throw new Error(`the audit log has a line of unknown kind: ${line.slice(0, 80)}`);
    }
  }
  return log;
}
