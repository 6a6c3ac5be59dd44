// SQL92 filters against Apache's own evaluator: generated expressions (a third of them damaged) and property sets, every verdict equal.
//
//   node compat-tests/sql92/run.mjs [--count 4000] [--seed N] [--show 10]
//
// A verdict is an expression refused, or its outcome on one property set: true, false, null or an error. For syntax errors the position must
// be Apache's too, unless Apache blames a token before the wrong one. Prints the seed and
// how many were equal, and ends with `1 passed, 0 failed`: all of them are one test. Without Java or the jars it says SKIPPED, which counts as
// a failure when CI=true.

import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { SqlError } from "../../dist/filter/sqlError.js";
import { SqlFilter } from "../../dist/filter/sqlFilter.js";
import { apacheJars } from "../dumper/jars.mjs";
import { Cases } from "./cases.mjs";

const SOURCE = fileURLToPath(new URL("src/Verdicts.java", import.meta.url));
const SETS = 4;
/** Expressions that one run of the Java side takes. */
const BATCH = 20_000;
const LETTERS = ["F", "T", "N", "E"];

const { values: options } = parseArgs({
  options: {
    count: { type: "string", default: "4000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    show: { type: "string", default: "10" },
  },
});
const count = Number(options.count);
const seed = Number(options.seed);

const jars = apacheJars();
if ("missing" in jars) {
  const line = `SKIPPED: SQL92 verdicts were NOT compared with Apache RocketMQ 5.5.0: ${jars.missing}`;
  console.log(line);
  process.exit(process.env.CI === "true" ? 1 : 0);
}

const work = mkdtempSync(join(tmpdir(), "skylark-sql92-"));
const tally = { T: 0, F: 0, N: 0, E: 0, refused: 0, positions: 0 };
let equal = 0;
let different = 0;
try {
  const classPath = [work, join(jars.directory, "*")].join(delimiter);
  const home = join(work, "home");
  mkdirSync(home);
  execFileSync("javac", ["-nowarn", "-proc:none", "-cp", classPath, "-d", work, SOURCE], { stdio: ["ignore", 2, 2] });
  const cases = new Cases(seed);
  while (equal + different < count) {
    const batch = Array.from({ length: Math.min(BATCH, Math.ceil((count - equal - different) / 2)) }, () =>
      cases.next(SETS),
    );
    const answers = askApache(classPath, home, batch);
    for (let i = 0; i < batch.length && equal + different < count; i++) compare(batch[i], answers[i]);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
const { T, F, N, E, refused, positions } = tally;
console.log(`true ${T}, false ${F}, null ${N}, error ${E}, refused ${refused} (${positions} with Apache's position)`);
const ok = different === 0 && equal > 0;
console.log(
  `sql92 seed ${seed}: ${equal} verdicts equal, ${different} different: ${ok ? "1 passed, 0 failed" : "0 passed, 1 failed"}`,
);
process.exit(ok ? 0 : 1);

function askApache(classPath, home, batch) {
  const input = batch.map(({ expression, properties }) =>
    [swapped(expression), ...properties.map((text) => Buffer.from(text, "utf8"))]
      .map((b) => b.toString("base64"))
      .join(" "),
  );
  const output = execFileSync(
    "java",
    ["-Xmx256m", "-XX:+UseSerialGC", `-Duser.home=${home}`, "-cp", classPath, "Verdicts"],
    {
      input: `${input.join("\n")}\n`,
      maxBuffer: 1 << 28,
      stdio: ["pipe", "pipe", 2],
    },
  );
  const lines = output.toString("ascii").trimEnd().split("\n");
  if (lines.length !== batch.length) throw new Error(`the Java side answered ${lines.length} of ${batch.length} lines`);
  return lines;
}

/** UTF-16 with the high byte first. */
function swapped(text) {
  return Buffer.from(text, "utf16le").swap16();
}

function compare({ expression, properties }, apache) {
  const ours = verdicts(expression, properties);
  if (/^r/i.test(apache)) {
    tally.refused++;
    if (ours === apache) tally.positions++;
    count1(ours.startsWith("R") && samePlace(apache, ours), expression, "", apache, ours);
    return;
  }
  for (let i = 0; i < properties.length; i++) {
    tally[apache[i]]++;
    count1(ours[i] === apache[i], expression, properties[i], apache, ours);
  }
}

/** Where Apache names no place ours is as good as any; where it blames the token that it looked ahead from, ours lies not before it. */
function samePlace(apache, ours) {
  if (apache === "R" || apache === "R0:0") return true;
  if (apache.startsWith("R")) return ours === apache;
  const [theirLine, theirColumn] = apache.slice(1).split(":").map(Number);
  const [line, column] = ours.slice(1).split(":").map(Number);
  return line > theirLine || (line === theirLine && column >= theirColumn);
}

function count1(same, expression, properties, apache, ours) {
  if (same) {
    equal++;
    return;
  }
  different++;
  if (different > Number(options.show)) return;
  console.log(
    `DIFFERENT ${JSON.stringify(expression)}\n  on ${JSON.stringify(properties)}: Apache ${apache}, Skylark ${ours}`,
  );
}

function verdicts(expression, properties) {
  let filter;
  try {
    filter = new SqlFilter(expression);
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    return `R${error.line}:${error.column}`;
  }
  let letters = "";
  for (const text of properties) {
    // Not at the start of its buffer, as in a record.
    const bytes = Buffer.from(`\u0002a\u0001${text}`, "utf8");
    letters += LETTERS[filter.evaluate(bytes, 3, bytes.length)];
  }
  return letters;
}
