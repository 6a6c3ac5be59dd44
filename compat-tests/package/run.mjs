// The npm package as its users meet it: packed, installed into an empty folder, started with npx, used by the official Java client and as a
// library; and the examples for vitest and JUnit 5 on the package as it was installed. Prints a line per check and "N passed, N failed".
//
//   node compat-tests/package/run.mjs [--tarball FILE] [--keep]
//
// Installing needs the dependencies from npm's cache or registry; without either it says SKIPPED, which is a failure with CI=true.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { javaClient, Missing, WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";
import { Ports } from "../lib/ports.mjs";
import { runClient } from "../lib/session.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SCENARIOS = ["send-sync", "push-cluster", "tags"];
const INSTALL_LIMIT_MS = 300_000;
/** The first run fetches JUnit. */
const MAVEN_LIMIT_MS = 300_000;
const START_LIMIT_MS = 180_000;
/** What a package must not bring along, and what it must. */
const UNWANTED = /\.test\.|(^|\/)(src|compat-tests|bench|scripts|docker|node_modules)\/|tsbuildinfo|\/testing\//;
const WANTED = [
  "bin/skylark",
  "bin/mqadmin",
  "bin/console/index.html",
  "dist/index.js",
  "dist/index.d.ts",
  "docs/configuration.md",
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
];

const { values: options } = parseArgs({
  options: { tarball: { type: "string" }, keep: { type: "boolean", default: false } },
});

const temp = mkdtempSync(join(tmpdir(), "skylark-package-"));
const folder = join(temp, "empty");
const logDir = join(WORK, "logs", "package");
rmSync(logDir, { recursive: true, force: true });
mkdirSync(logDir, { recursive: true });
mkdirSync(folder);
let passed = 0;
let failed = 0;

function check(what, ok, detail = "") {
  if (ok) passed++;
  else failed++;
  console.log(`${ok ? "ok  " : "FAIL"} ${what}${detail === "" ? "" : `: ${detail}`}`);
}

/** Runs something in the empty folder. */
const inFolder = (command, args, limitMs = START_LIMIT_MS) =>
  execFileSync(command, args, { cwd: folder, encoding: "utf8", timeout: limitMs, stdio: ["ignore", "pipe", "pipe"] });

/** @returns {string} the tarball. Its scripts do not run: dist is what prepare.mjs made, and others may be using it. */
function pack() {
  if (options.tarball !== undefined) return resolve(options.tarball);
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", temp];
  const [{ filename, files, size }] = JSON.parse(
    execFileSync("npm", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
  );
  const names = files.map(({ path }) => path);
  const unwanted = names.filter((name) => UNWANTED.test(name));
  const missing = WANTED.filter((name) => !names.includes(name));
  check(
    `the tarball: ${names.length} files, ${Math.ceil(size / 1024)} KiB`,
    unwanted.length + missing.length === 0,
    [...unwanted, ...missing.map((name) => `no ${name}`)].join(", "),
  );
  return join(temp, filename);
}

function install(tarball) {
  try {
    inFolder(
      "npm",
      ["install", "--no-audit", "--no-fund", "--prefer-offline", "--omit=dev", tarball],
      INSTALL_LIMIT_MS,
    );
  } catch (error) {
    if (error.code === "ETIMEDOUT") throw new Error(`npm install took more than ${INSTALL_LIMIT_MS} ms`);
    const reasons = String(error.stderr).match(/^npm error .+$/gm) ?? [error.message];
    throw new Missing(`npm cannot install it here: ${reasons.join(" ")}`);
  }
}

/** As a library: a cluster with a declared topic, and a process that ends by itself after close. */
function embed() {
  writeFileSync(
    join(folder, "embedded.mjs"),
    `import { startCluster } from "skylark-mq";
const began = performance.now();
const cluster = await startCluster({ topics: ["orders"] });
const ms = performance.now() - began;
await cluster.close();
console.log(JSON.stringify({ ms, ...cluster }));
`,
  );
  const { ms, namesrvAddr } = JSON.parse(inFolder(process.execPath, ["embedded.mjs"]));
  check(
    "startCluster in a process that ends after close()",
    /^127\.0\.0\.1:\d+$/.test(namesrvAddr),
    `ready after ${ms.toFixed(0)} ms`,
  );
  const typescript = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  writeFileSync(
    join(folder, "embedded.ts"),
    `import { type RunningCluster, startCluster } from "skylark-mq";
export const cluster: Promise<RunningCluster> = startCluster({ topics: ["a", { name: "b", queues: 2 }], config: { fileReservedTime: "1" } });
`,
  );
  const flags = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2023",
    "--types",
    "",
    "--skipLibCheck",
    "embedded.ts",
  ];
  try {
    inFolder(process.execPath, [typescript, ...flags]);
    check("its types in strict TypeScript", true);
  } catch (error) {
    check("its types in strict TypeScript", false, String(error.stdout));
  }
}

/** The example for vitest, with the package as it was installed. */
function vitestExample() {
  symlinkSync(join(ROOT, "node_modules", "vitest"), join(folder, "node_modules", "vitest"));
  cpSync(join(ROOT, "examples", "vitest", "orders.test.ts"), join(folder, "orders.test.ts"));
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  try {
    inFolder(process.execPath, [vitest, "run", "--root", folder], INSTALL_LIMIT_MS);
    check("examples/vitest", true);
  } catch (error) {
    check("examples/vitest", false, `${error.stdout}${error.stderr}`);
  }
}

/** The example for JUnit 5, by the command that its pom.xml names: npx finds the package in the folder above. */
function junitExample() {
  const project = join(folder, "junit5");
  cpSync(join(ROOT, "examples", "junit5"), project, { recursive: true, filter: (path) => !path.endsWith("/target") });
  try {
    execFileSync("mvn", ["-q", "-B", "test"], {
      cwd: project,
      encoding: "utf8",
      timeout: MAVEN_LIMIT_MS,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const report = readFileSync(join(project, "target/surefire-reports/example.OrdersTest.txt"), "utf8");
    const counted = /Tests run: (\d+), Failures: 0, Errors: 0, Skipped: 0/.exec(report);
    check("examples/junit5", Number(counted?.[1]) > 0, counted === null ? report : "");
  } catch (error) {
    check("examples/junit5", false, `${error.message}\n${error.stdout}${error.stderr}`);
  }
}

async function serve(client) {
  const { namesrvPort, brokerPort } = await new Ports(Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 900).take();
  const ports = [
    "--namesrv-port",
    `${namesrvPort}`,
    "--listen-port",
    `${brokerPort}`,
    "--grpc-port",
    `${namesrvPort + 13}`,
  ];
  const began = Date.now();
  const server = own(
    new Child("npx skylark", "npx", ["--no-install", "skylark", "start", ...ports], {
      cwd: folder,
      log: join(logDir, "server.log"),
    }),
  );
  await server.line(/^The broker\[.*\] boot success/, START_LIMIT_MS);
  check("npx skylark start", true, `ready after ${Date.now() - began} ms, npx included`);
  const at = { namesrvAddr: `127.0.0.1:${namesrvPort}`, brokerAddr: `127.0.0.1:${brokerPort}` };
  const listed = inFolder("npx", ["--no-install", "mqadmin", "clusterList", "-n", at.namesrvAddr]);
  check("npx mqadmin clusterList", listed.includes(at.brokerAddr), listed.includes(at.brokerAddr) ? "" : listed);
  const results = await runClient({
    client,
    parts: [{ names: SCENARIOS, server: at }],
    parallel: SCENARIOS.length,
    runId: Date.now().toString(36).slice(-6),
    home: join(logDir, "client"),
    logDir,
  });
  for (const [name, [{ ok, detail }]] of results) check(`Java 5.5.0: ${name}`, ok, ok ? "" : detail);
  // npx hands no signal on: a terminal's Ctrl-C reaches the whole group, and this reaches the server itself.
  process.kill(lastDescendant(server.pid), "SIGTERM");
  const { code, signal } = await server.exited;
  check("SIGTERM ends it in order", code === 0, `status ${signal ?? code}`);
  check("its store lies in ./data", existsSync(join(folder, "data", "commitlog")));
}

/** npx starts a shell that starts the server. */
function lastDescendant(pid) {
  const children = execFileSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid);
  return children.length === 0 ? pid : lastDescendant(children[0][0]);
}

try {
  const client = { id: "java-5.5.0", ...javaClient("5.5.0") };
  install(pack());
  embed();
  vitestExample();
  junitExample();
  await serve(client);
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED package: ${error.message}`);
  if (process.env.CI === "true") failed++;
} finally {
  if (options.keep) console.log(`files kept in ${temp}`);
  else rmSync(temp, { recursive: true, force: true });
}
console.log(`package: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
