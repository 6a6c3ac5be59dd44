// Where a push consumer's time to its first message goes, from the calls that a relay saw (tap.mjs): before its first call and between its calls it is
// the client's own, within a call it is the server's (and the relay's).

/** The push consumers of a run in the order of their starts: only they ask for assignments. */
function pushersOf(calls) {
  return [...new Set(calls.filter(({ method }) => method === "QueryAssignment").map(({ clientId }) => clientId))];
}

/**
 * @param calls of one run of the scenario @param firstMs what its client measured
 * @returns {{ before: number, pauses: number, longest: { ms: number, behind: string }, server: number, byMethod: Map<string, number> } | undefined}
 *   ms: before the first call (and from the answer to the listener), between calls, the longest of those and the call before it, within calls;
 *   undefined when no consumer was given anything
 */
export function firstBreakdown(calls, firstMs) {
  const [known] = pushersOf(calls);
  const own = calls.filter(({ clientId }) => clientId === known);
  const given = own.filter(({ method, answered }) => method === "ReceiveMessage" && answered !== undefined);
  if (given.length === 0) return undefined;
  const end = Math.min(...given.map(({ answered }) => answered));
  const byMethod = new Map();
  const longest = { ms: 0, behind: "" };
  let reached = own[0].came;
  let behind = "";
  let server = 0;
  let pauses = 0;
  for (const { method, came, answered, ended } of own) {
    if (came >= end) break;
    const until = Math.min(answered ?? ended ?? end, end);
    if (came > reached) {
      pauses += came - reached;
      if (came - reached > longest.ms) Object.assign(longest, { ms: came - reached, behind });
    }
    // Calls beside each other are counted once, by the one that came first.
    const took = Math.max(0, until - Math.max(came, reached));
    server += took;
    byMethod.set(method, (byMethod.get(method) ?? 0) + took);
    if (until >= reached) {
      reached = until;
      behind = method;
    }
  }
  return { before: firstMs - (end - own[0].came), pauses, longest, server, byMethod };
}

/** As a line of text. */
export function shownBreakdown({ before, pauses, longest, server, byMethod }) {
  const ms = (value) => `${Math.round(value)}`;
  const methods = [...byMethod].map(([method, took]) => `${method} ${took.toFixed(1)}`).join(", ");
  return (
    `its own: ${ms(before)} before its first call and behind the last answer, ${ms(pauses)} between calls ` +
    `(${ms(longest.ms)} of them behind ${longest.behind}); server: ${server.toFixed(1)} (${methods})`
  );
}
