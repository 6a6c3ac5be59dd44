// `npm test`: every suite once, in its short form, with counts. Ends with the line `N passed, N failed, N skipped`.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.mjs";

const root = join(import.meta.dirname, "..");
const temp = mkdtempSync(join(tmpdir(), "skylark-test-"));
const suites = [];

/** Runs a command with its output shown; `count` turns the outcome into counts. */
async function suite(
  name,
  command,
  args,
  count = ({ status }) => ({ passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1 }),
) {
  const began = Date.now();
  process.stdout.write(`\n== ${name}\n`);
  const result = await run(command, args, { cwd: root });
  suites.push({ name, seconds: (Date.now() - began) / 1000, passed: 0, failed: 0, skipped: 0, ...count(result) });
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
await suite(
  "wire schema against the 5.5.0 jars",
  process.execPath,
  [script("compat-tests", "dumper", "verify.mjs")],
  countLine,
);
await suite(
  "configuration against Apache's start-up",
  process.execPath,
  [script("compat-tests", "dumper", "verify-config.mjs")],
  countLine,
);
await suite(
  "SQL92 verdicts against Apache's evaluator (short)",
  process.execPath,
  [script("compat-tests", "sql92", "run.mjs"), "--count", "4000"],
  countLine,
);
await suite(
  "malformed frames (short)",
  process.execPath,
  [script("compat-tests", "fuzz", "run.mjs"), "--frames", "20000"],
  countLine,
);
await suite("mqadmin (short)", process.execPath, [script("compat-tests", "mqadmin", "run.mjs"), "--short"], countLine);
await suite("official clients (short)", process.execPath, [script("compat-tests", "run.mjs"), "--short"], countLine);
await suite(
  "5.x clients: Java, Go, Python, Node, Rust (short)",
  process.execPath,
  [script("compat-tests", "grpc", "run.mjs"), "--short"],
  countLine,
);

rmSync(temp, { recursive: true, force: true });
process.stdout.write("\n");
for (const s of suites) {
  const line = `${s.passed} passed, ${s.failed} failed${s.skipped ? `, ${s.skipped} SKIPPED` : ""}`;
  process.stdout.write(`${s.name.padEnd(42)} ${line.padEnd(36)} ${s.seconds.toFixed(1)} s\n`);
}
const sum = (key) => suites.reduce((total, s) => total + s[key], 0);
process.stdout.write(`\n${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped\n`);
process.exit(sum("failed") === 0 ? 0 : 1);
