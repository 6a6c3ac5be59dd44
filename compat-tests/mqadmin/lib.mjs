// The words that the script of commands is written in; see cases/.
//
// A line is a command line of mqadmin with placeholders in braces: {namesrv} {broker} {cluster} {brokerName} {dir} (a directory of its
// own), {id.0} {offsetId.0} (of the first message sent), {time.0} (just before it was sent), {client.GROUP} (client id of an online
// consumer), {now}. `-n {namesrv}` is added unless the line says otherwise. Double quotes hold a value with spaces together.

/**
 * One command of the script.
 * @param {string} line
 * @param {{
 *   short?: boolean,       part of the short form, too
 *   until?: RegExp | RegExp[],  repeated until its output matches all, for what becomes true soon after
 *   endlessMs?: number,    a command that never ends: what it printed within this time is compared
 *   mask?: [RegExp, string][],  what must differ in this command's output besides what always must
 *   sort?: boolean,        the order of lines is Java's hash order of the moment
 *   files?: string[],      files that the command writes, compared as well; names relative to {dir}
 *   refused?: [RegExp, string],  Skylark refuses: what its output must match, and why
 *   differs?: [RegExp, string],  Skylark answers otherwise on purpose: what its output must match, and why
 *   noNamesrv?: boolean,   without -n
 * }} options
 */
export function run(line, options = {}) {
  return { kind: "run", line, command: line.split(" ")[0], ...options };
}

/** A command that is part of the short form, too. */
export const short = (line, options = {}) => run(line, { ...options, short: true });

/** Messages by the producer PreparedProducer, which stays online: [topic, queueId, tags, keys, body]. */
export function send(messages) {
  return { kind: "send", messages };
}

/** A push consumer that reads `wait` messages and stays online. */
export function consume(group, topic, expression, wait) {
  return { kind: "consume", group, topic, expression, wait };
}

export function stop(group) {
  return { kind: "stop", group };
}

/** NameServer and broker are killed (-9) and started again, the broker with other settings besides; in the full form only. */
export const restart = (settings = {}) => ({ kind: "restart", settings });

/**
 * What no command can do, done by `work(server, values)`; in the full form only. What it opens lasts until the script ends, or until
 * the server's end.
 */
export function prepare(work) {
  return { kind: "prepare", work };
}

/** A file in {dir}. */
export function file(name, text) {
  return { kind: "file", name, text };
}
