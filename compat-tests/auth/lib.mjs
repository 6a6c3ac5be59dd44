// What the suites of access control share: users, how they sign and how they are made; answers of two servers, compared.

import { RequestCode } from "../../dist/protocol/generated/requestCodes.js";
import { apacheLib, Missing } from "../lib/build.mjs";
import { ROOT, signed } from "./sign.mjs";

export { ROOT, SETTINGS, signed } from "./sign.mjs";

/** A user and his password. */
export const user = (accessKey) => ({ accessKey, secretKey: `${accessKey}-secret` });

/** Makes a user for each name, with the policy entries given, and one more that is disabled. */
export async function makeUsers(client, rights) {
  const ask = async (code, ext, body) => {
    const bytes = Buffer.from(JSON.stringify(body));
    const reply = await client.ask(code, signed(ext, bytes, ROOT), bytes);
    if (reply.code !== 0) throw new Error(`${JSON.stringify(ext)}: ${reply.code} ${reply.remark}`);
  };
  for (const username of ["powerless", "disabled", ...Object.keys(rights)]) {
    const body = {
      password: user(username).secretKey,
      userType: "Normal",
      userStatus: username === "disabled" ? "disable" : "enable",
    };
    await ask(RequestCode.AUTH_CREATE_USER, { username }, body);
  }
  for (const [username, entries] of Object.entries(rights)) {
    const subject = `User:${username}`;
    const body = { subject, policies: [{ policyType: "Custom", entries }] };
    await ask(RequestCode.AUTH_CREATE_ACL, { subject }, body);
  }
}

/** Apache's jars; without them the suite is skipped, loudly. */
export function jarsOrSkip(suite) {
  try {
    return apacheLib();
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.log(`!!! SKIPPED ${suite}: ${error.message}`);
    return process.exit(process.env.CI === "true" ? 1 : 0);
  }
}

/** Where an answer is kept: what was asked, and by whom. */
export const keyOf = (what, comer) => `${what} | ${comer}`;

/** The count of a suite. */
export class Tally {
  passed = 0;
  failed = 0;

  /** One line for what failed; for what passed, too, if it is to be seen. */
  check(what, ok, detail = "", seen = true) {
    if (ok) this.passed++;
    else this.failed++;
    if (seen || !ok) console.log(`${ok ? "passed" : "FAILED"}  ${what}${detail === "" ? "" : `: ${detail}`}`);
  }

  /** Prints the count and ends the process. */
  end(suite) {
    // A suite that compared nothing has shown nothing.
    if (this.passed === 0) this.failed++;
    console.log(`${suite}: ${this.passed} passed, ${this.failed} failed`);
    process.exit(this.failed === 0 ? 0 : 1);
  }
}

const UNKNOWN = "nobody learns which users there are";

/**
 * Compares the answers of two servers, one check for each thing asked, and tells how often they differ on purpose.
 * @param {{ asked: string[], comers: string[], apache: Map<string, string>, other: Map<string, string>, show: boolean }} given
 * @param {(what: string, apache: string, other: string) => string | undefined} reasonFor why answers may differ; undefined: they may not
 */
export function compare(tally, { asked, comers, apache, other, show }, reasonFor = () => undefined) {
  const declared = {};
  for (const what of asked) {
    const differences = [];
    for (const comer of comers) {
      const key = keyOf(what, comer);
      const [a, b] = [apache.get(key), other.get(key)];
      if (show) console.log(`${key}: ${a}${a === b ? "" : `  <>  ${b}`}`);
      if (a === b && a !== undefined) continue;
      const reason = withoutGhost(a) === b ? UNKNOWN : reasonFor(what, a, b);
      if (reason === undefined) differences.push(`${comer}: Apache ${a}, other ${b}`);
      else declared[reason] = (declared[reason] ?? 0) + 1;
    }
    tally.check(what, differences.length === 0, differences.map((line) => `\n    ${line}`).join(""), false);
  }
  console.log(`${asked.length} requests by ${comers.length} comers; declared differences: ${JSON.stringify(declared)}`);
}

/** What Apache says to an unknown user, in the words that Skylark has for all who are not who they say. */
export function withoutGhost(text) {
  return text?.replaceAll("User:ghost is not found.", "check signature failed.");
}
