// The rule of second tries, and what the tries of a scenario come to. Pure, so that it can be tested.
//
// A failure against Apache shows that the scenario wavers against Apache, the oracle: it is run once more and reported as flaky when it then
// passes. A failure against Skylark gets that second try only where the scenario is known to waver against Apache: it has a `wavers` reason, or
// it failed against Apache with the same client in the same run. Every other failure against Skylark stands.
//
// What failed against Apache twice although it passed there with another client says nothing about Skylark: such a cell is *unproven*. It
// is neither passed nor failed, and said so loudly. What passes against Apache with no client is a failure of the scenario.

/**
 * What a row says for a client in its `wavers` or `without`.
 * @param {string | Record<string, string> | undefined} reasons one for all clients, or by the beginning of the client's id.
 * @param {string} client
 * @returns {string | undefined}
 */
export function reasonFor(reasons, client) {
  if (reasons === undefined || typeof reasons === "string") return reasons;
  return Object.entries(reasons).find(([prefix]) => client.startsWith(prefix))?.[1];
}

/**
 * @param {{ server: "apache" | "skylark", client: string, wavers?: string | Record<string, string>, failedAgainstApache: boolean }} failure
 * @returns {string | undefined} why the failed scenario is run once more; undefined: its failure stands.
 */
export function secondTry({ server, client, wavers, failedAgainstApache }) {
  const reason = reasonFor(wavers, client);
  if (reason !== undefined) return reason;
  if (server === "apache") return "it failed against the oracle itself";
  return failedAgainstApache ? "it failed against Apache in the same run" : undefined;
}

/**
 * One cell of the table.
 * @param {{ ok: boolean, detail: string, ms: number, facts: Record<string, string> }[]} tries in their order, at least one.
 * @param {string} [why] why there was a second one.
 */
export function cellOf(tries, why) {
  const last = tries.at(-1);
  const state = !last.ok ? "failed" : tries.length > 1 ? "flaky" : "passed";
  return { state, ms: last.ms, detail: last.detail, facts: last.facts, ...(tries.length > 1 ? { why, tries } : {}) };
}

/**
 * @param {{ state: string }} cell of a scenario and a client against Apache.
 * @param {{ state: string }[]} others the cells of the same scenario against Apache with the other clients.
 */
export function isUnproven(cell, others) {
  return cell.state === "failed" && others.some(({ state }) => state === "passed" || state === "flaky");
}
