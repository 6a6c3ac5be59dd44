// What a command's two outcomes say about Skylark.

import { difference } from "./normal.mjs";

/**
 * same: equal status and output. refused / differs: not equal, in the way and for the reason that the script declares. Anything else is a
 * failure, also a declared difference that is none any more.
 * @returns {{ passed: boolean, word: "same" | "refused" | "differs" | "stale", why: string, details: string[] }}
 */
export function judge(step, apache, skylark) {
  const same = apache.status === skylark.status && apache.text === skylark.text;
  const [word, [pattern, why]] = step.refused
    ? ["refused", step.refused]
    : step.differs
      ? ["differs", step.differs]
      : ["same", [undefined, ""]];
  if (same) {
    if (word === "same") return { passed: true, word, why: "", details: [] };
    return { passed: false, word: "stale", why: `declared as ${word}, but is the same`, details: [] };
  }
  if (word !== "same" && pattern.test(skylark.text)) return { passed: true, word, why, details: [] };
  const status = apache.status === skylark.status ? [] : [`status: apache ${apache.status}, skylark ${skylark.status}`];
  return { passed: false, word: "differs", why: "", details: [...status, ...difference(apache.text, skylark.text)] };
}
