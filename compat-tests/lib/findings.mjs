// Where the facts of the two servers differ on purpose. A difference that no row here explains is printed as one that somebody has to judge.

/**
 * Most serious first.
 * @type {{ scenario: string | RegExp, fact?: RegExp, why: string }[]}
 *   Of several rows that fit, the first counts. `fact` is a pattern of the fact's name.
 */
export const FINDINGS = [
  {
    scenario: "transaction-delay",
    fact: /^deliveries of the delayed message$/,
    why: "Apache loses a transactional message with a delay level, which Go's client lets pass; Skylark begins the delay at the commit",
  },
  {
    scenario: /^transaction-(late|restart|kill9)$/,
    fact: /twice$/,
    why: "Apache applies a commit twice when a check and the producer's own end cross, and those of its last seconds after a restart",
  },
  {
    scenario: "odd-bodies",
    fact: /^empty body$/,
    why: "Apache's handler falls over a body that is not there, with the same code; Skylark says what is wrong",
  },
  {
    scenario: "unknown-topic",
    fact: /^deleted topic, max offset$/,
    why: "Apache says 0 for a deleted topic or now and then, with the same client, still what was there; Skylark 0",
  },
];

/**
 * What to think of a fact that differs.
 * @param {{ scenario: string, fact: string, apache?: string, skylark?: string }} difference
 * @returns {{ judged: boolean, why: string }}
 */
export function judge({ scenario, fact, apache, skylark }, findings = FINDINGS) {
  const row = findings.find((one) => {
    const fits = typeof one.scenario === "string" ? one.scenario === scenario : one.scenario.test(scenario);
    return fits && (one.fact === undefined || one.fact.test(fact));
  });
  if (row !== undefined) return { judged: true, why: row.why };
  if (apache !== undefined && skylark?.startsWith(apache)) {
    return { judged: true, why: "Apache's words, then the exact reason" };
  }
  return { judged: false, why: "not judged yet" };
}
