// The outside log of the transactional load, as the audit wants it. Its lines, written by AuditLog before anybody acts on them:
//
//   S id crc bytes outcome   a half message is about to be sent (once); outcome: "commit" or "rollback", sooner or later
//   A id halfOffset          the server has it
//   R id code                the server refused it
//   E id                     its outcome is about to be told
//   K id time                the server acknowledged the outcome
//   Q id time                the server asked for the outcome
//   U time, X time           the broker came up, was killed (ms, monotonic clock of this machine)

import { readFileSync } from "node:fs";

export function readTxLog(file) {
  const log = {
    sent: new Map(),
    acked: new Set(),
    refused: new Set(),
    told: new Set(),
    ended: new Map(),
    asked: new Map(),
    kills: 0,
  };
  for (const line of readFileSync(file, "latin1").split("\n")) {
    if (line === "") continue;
    const [kind, id, a, b, c] = line.split(" ");
    switch (kind) {
      case "S":
        log.sent.set(id, { crc: Number(a), bytes: Number(b), outcome: c });
        break;
      case "A":
        log.acked.add(id);
        break;
      case "R":
        log.refused.add(id);
        break;
      case "E":
        log.told.add(id);
        break;
      case "K":
        if (!log.ended.has(id)) log.ended.set(id, Number(a));
        break;
      case "Q":
        if (!log.asked.has(id)) log.asked.set(id, []);
        log.asked.get(id).push(Number(a));
        break;
      case "X":
        log.kills++;
        break;
      case "U":
        break;
      default:
        throw new Error(`the audit log has a line of unknown kind: ${line.slice(0, 80)}`);
    }
  }
  return log;
}
