// `npm run compat`: everything that is compared with Apache, in two lanes beside each other: the matrix of official clients, which mostly
// waits, and the other suites one after another; --all has the matrix whole. With other options (--client, --scenario, --server, ...) only the
// matrix, narrowed by them.
// With --docker: the official clients and the servers in containers, our image, the recipes and compose files that start it.
// Ends with one count over everything that ran.
import { join } from "node:path";
import { apacheLib, Missing } from "../compat-tests/lib/build.mjs";
import { run } from "./run.mjs";

const root = join(import.meta.dirname, "..");
const args = process.argv.slice(2);
const inContainers = args.includes("--docker");
const unnarrowed = ["--write-readme", "--all", ...(inContainers ? ["--docker", "--no-build"] : [])];
const whole = args.every((arg) => unnarrowed.includes(arg));
/** What every suite that has a table understands. */
const tables = args.filter((arg) => arg === "--write-readme");
const basePort = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000);
/** The matrix's ports end well below this much above the first one. */
const SECOND_LANE_PORTS = 1_500;

const LITE = ["--client", "java-5.2.0", "--plaintext-only", "--scenario", "lite,lite-retry,lite-exclusive,send,push"];
const clients = [
  ["run.mjs", ...args],
  ["ha/run.mjs"],
  ["tls/run.mjs"],
  ["grpc/run.mjs", "--server", "apache-cluster,skylark-proxy,skylark-over-apache", ...LITE],
  ["console/run.mjs"],
  ["package/run.mjs"],
];
const others = [
  ["mqadmin/run.mjs", ...tables],
  ["mqadmin/run.mjs", "--own", "--short"],
  ["dashboard/run.mjs"],
  ["metrics/run.mjs"],
  ["answers/run.mjs"],
  ["answers/ipv6.mjs"],
  ["crossread/run.mjs"],
  ["crossread/transactions.mjs"],
  ["crossread/timers.mjs"],
  ["grpc/run.mjs", "--server", "apache-local,skylark", ...tables],
  ["grpc/answers.mjs"],
  ["grpc/kill9.mjs"],
];
/** After the card, which builds the image. */
const docker = [["docker/image.mjs"], ["docker/testcontainers.mjs"], ["docker/compose.mjs"]];

let passed = 0;
let failed = 0;
/** What suites said they lack. */
const skipped = [];

/** Runs suites one after another; a lane that is not shown while it runs is shown suite by suite. */
async function lane(suites, { port, live }) {
  const env = { ...process.env, SKYLARK_COMPAT_PORT: String(port) };
  for (const [script, ...rest] of suites) {
    const began = Date.now();
    const command = [join(root, "compat-tests", script), ...rest];
    const { status, stdout } = await run(process.execPath, command, { cwd: root, env, live });
    if (!live) process.stdout.write(`\n==== ${script}\n${stdout}`);
    process.stdout.write(`==== ${script} took ${((Date.now() - began) / 1000).toFixed(0)} s\n`);
    const count = [...stdout.matchAll(/(\d+) passed, (\d+) failed/g)].at(-1);
    skipped.push(...[...stdout.matchAll(/^!!! SKIPPED .*$/gm)].map(([line]) => line));
    passed += Number(count?.[1] ?? 0);
    // A script that ended in error without counting a failure has failed as a whole.
    failed += Math.max(Number(count?.[2] ?? 0), status === 0 ? 0 : 1);
  }
}

/** Both lanes need the jars: fetched once, before either begins. What is missing is each suite's own to say. */
function fetchJars() {
  try {
    apacheLib();
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
  }
}

if (inContainers) {
  const card = ["docker/run.mjs", ...args.filter((arg) => arg !== "--docker")];
  await lane(whole ? [card, ...docker] : [card], { port: basePort, live: true });
} else if (whole) {
  fetchJars();
  await Promise.all([
    lane(clients, { port: basePort, live: true }),
    lane(others, { port: basePort + SECOND_LANE_PORTS, live: false }),
  ]);
} else {
  await lane(clients.slice(0, 1), { port: basePort, live: true });
}
for (const line of skipped) process.stdout.write(`\n${line}`);
process.stdout.write(`\nall of compat: ${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
