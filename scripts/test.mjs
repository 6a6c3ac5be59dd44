// `npm test`: every suite once, in its short form, with counts. Ends with the line `N passed, N failed, N skipped`.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.mjs";

const root = join(import.meta.dirname, "..");
const temp = mkdtempSync(join(tmpdir(), "skylark-test-"));
const suites = [];
/** The ports of a lane of suites end well below this much above its first. */
const LANE_PORTS = 1_500;

/**
 * Runs a command; `count` turns the outcome into counts. Its output is shown as it comes, or whole when it has ended, where others run
 * beside it.
 */
async function suite(name, command, args, count = countStatus, { env, live = true } = {}) {
  const began = Date.now();
  const entry = { name, seconds: 0, passed: 0, failed: 0, skipped: 0 };
  suites.push(entry);
  if (live) process.stdout.write(`\n== ${name}\n`);
  const result = await run(command, args, { cwd: root, env, live });
  if (!live) process.stdout.write(`\n== ${name}\n${result.stdout}`);
  Object.assign(entry, { seconds: (Date.now() - began) / 1000, ...count(result) });
}

function countStatus({ status }) {
  return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1 };
}

/** Suites of compat-tests one after another, beside another such lane; each lane has ports of its own. */
async function lane(index, scripts) {
  const base = process.env.SKYLARK_COMPAT_PORT;
  const env = { ...process.env, ...(base && { SKYLARK_COMPAT_PORT: String(Number(base) + index * LANE_PORTS) }) };
  for (const [name, file, ...args] of scripts) {
    await suite(name, process.execPath, [script("compat-tests", file), ...args], countLine, { env, live: false });
  }
}

/** Scripts of ours end with `... N passed, N failed ... N suites skipped`, or say SKIPPED. */
function countLine({ status, stdout }) {
  const found = [...stdout.matchAll(/(\d+) passed, (\d+) failed(?:.*?(\d+)(?: suites)? skipped)?/g)].at(-1);
  if (!found) {
    const skipped = status === 0 && /SKIPPED/.test(stdout);
    return { passed: status === 0 && !skipped ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: skipped ? 1 : 0 };
  }
  const [, passed, failed, skipped] = found.map(Number);
  return { passed, failed: Math.max(failed, status === 0 ? 0 : 1), skipped: skipped || 0 };
}

function countVitest({ status }) {
  const file = join(temp, "vitest.json");
  if (!existsSync(file)) return { failed: 1 };
  const json = JSON.parse(readFileSync(file, "utf8"));
  const failed =
    json.numFailedTests +
    json.testResults.filter((t) => t.status === "failed" && t.assertionResults.length === 0).length;
  return { passed: json.numPassedTests, failed: Math.max(failed, status === 0 ? 0 : 1), skipped: json.numPendingTests };
}

const bin = (name) => join(root, "node_modules", ".bin", name);
const script = (...parts) => join(root, ...parts);

await suite("format and lint", bin("biome"), ["check", "."]);
await suite("types", bin("tsc"), ["-p", "tsconfig.json", "--noEmit"]);
await suite("generated files", process.execPath, [script("scripts", "generate.mjs"), "--check"]);
await suite(
  "unit",
  bin("vitest"),
  ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${join(temp, "vitest.json")}`],
  countVitest,
);
await lane(0, [
  // The first that needs Apache's jars fetches them for all.
  ["wire schema against the 5.5.0 jars", "dumper/verify.mjs"],
  // Alone, because it holds a healthy pair of clients to its pace.
  ["malformed frames (short)", "fuzz/run.mjs", "--frames", "20000"],
]);
// The clients' scenarios mostly wait: what computes goes on beside them.
await Promise.all([
  lane(0, [["official clients (short)", "run.mjs", "--short"]]),
  lane(1, [
    ["configuration against Apache's start-up", "dumper/verify-config.mjs"],
    ["SQL92 verdicts against Apache's evaluator (short)", "sql92/run.mjs", "--count", "4000"],
    ["mqadmin (short)", "mqadmin/run.mjs", "--short"],
    ["5.x clients: Java, Go, Python, Node, Rust (short)", "grpc/run.mjs", "--short"],
  ]),
]);

rmSync(temp, { recursive: true, force: true });
process.stdout.write("\n");
for (const s of suites) {
  const line = `${s.passed} passed, ${s.failed} failed${s.skipped ? `, ${s.skipped} SKIPPED` : ""}`;
  process.stdout.write(`${s.name.padEnd(42)} ${line.padEnd(36)} ${s.seconds.toFixed(1)} s\n`);
}
const sum = (key) => suites.reduce((total, s) => total + s[key], 0);
process.stdout.write(`\n${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped\n`);
process.exit(sum("failed") === 0 ? 0 : 1);
