// `npm run compat`: the matrix of official clients, mqadmin, the Dashboard's calls, raw answers, then cross-reading of stores. With options
// (--client, --scenario, --server, ...) only the matrix, narrowed by them. Ends with one count over everything that ran.
import { join } from "node:path";
import { run } from "./run.mjs";

const root = join(import.meta.dirname, "..");
const args = process.argv.slice(2);
const parts = [["run.mjs", ...args]];
if (args.every((arg) => arg === "--write-readme")) {
  parts.push(["mqadmin/run.mjs", ...args], ["dashboard/run.mjs"], ["answers/run.mjs"], ["crossread/run.mjs"]);
}

let passed = 0;
let failed = 0;
for (const [script, ...rest] of parts) {
  const { status, stdout } = await run(process.execPath, [join(root, "compat-tests", script), ...rest], { cwd: root });
  const count = [...stdout.matchAll(/(\d+) passed, (\d+) failed/g)].at(-1);
  passed += Number(count?.[1] ?? 0);
  // A script that ended in error without counting a failure has failed as a whole.
  failed += Math.max(Number(count?.[2] ?? 0), status === 0 ? 0 : 1);
}
process.stdout.write(`\nall of compat: ${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
