// The pages of a running RocketMQ Dashboard, as an operator sees them, in a headless browser: visited with Apache 5.5.0 behind it and with
// Skylark behind it, same data, texts compared after addresses and times are taken out.
//
//   SKYLARK_DASHBOARD_JAR=<the official Dashboard, built> SKYLARK_BROWSER=<chromium> node compat-tests/dashboard/pages.mjs [--keep]
//        starts both servers, prepares them, runs the Dashboard for each and compares
//   SKYLARK_BROWSER=... node compat-tests/dashboard/pages.mjs --url http://127.0.0.1:8082 --out DIR
//        visits one Dashboard that runs already: texts to DIR/pages.json, screenshots beside it
//   ... --only "topic"     only visits whose names begin so (their steps must stand alone)
//
// Nothing of the Dashboard is in this repository: where jar or browser are missing the suite says so and is skipped. A page that differs
// and is not declared in DIFFERS is a failure, and so is a declared one that is gone.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, cached, Missing, WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";
import { Ports } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { difference, normal } from "../mqadmin/normal.mjs";
import { Browser } from "./browser.mjs";
import { VISITS } from "./visits.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 700;
const LIMIT_MS = 240_000;
const SETTINGS = { traceTopicEnable: true, autoCreateTopicEnable: false };

/** @type {[visit: RegExp, skylark: RegExp, why: string][]} what differs on purpose: which visit, what Skylark's page must match */
const DIFFERS = [
  [
    /^acl: add a user$/,
    /There are no users: authenticationEnabled is false/,
    "the same code and words, and then Skylark says why: without authentication there are no users",
  ],
];

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    out: { type: "string" },
    only: { type: "string" },
    keep: { type: "boolean", default: false },
    show: { type: "boolean", default: false },
  },
});

const jar = process.env.SKYLARK_DASHBOARD_JAR;
const program = process.env.SKYLARK_BROWSER;
const missing =
  program === undefined || !existsSync(program)
    ? "SKYLARK_BROWSER names no browser"
    : options.url === undefined && (jar === undefined || !existsSync(jar))
      ? "SKYLARK_DASHBOARD_JAR names no built RocketMQ Dashboard"
      : undefined;
if (missing) {
  console.log(`!!! SKIPPED dashboard pages: ${missing}\n\ndashboard pages: 0 passed, 0 failed, 1 suites skipped`);
  process.exit(0);
}

const visits = VISITS.filter(({ name }) => options.only === undefined || name.startsWith(options.only));
const tempDir = mkdtempSync(join(tmpdir(), "skylark-pages-"));
const out = options.out ?? join(WORK, "dashboard-pages");
if (options.url !== undefined) {
  const seen = await look(options.url, out, join(tempDir, "browser"));
  for (const [name, text] of seen) console.log(`== ${name}\n${text.replaceAll(/^/gm, "    ")}`);
  rmSync(tempDir, { recursive: true, force: true, maxRetries: 20 });
  process.exit(0);
}

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED dashboard pages: ${error.message}\n\ndashboard pages: 0 passed, 0 failed, 1 suites skipped`);
  process.exit(0);
}
const classes = join(WORK, "dashboard");
cached(classes, ["dashboard/src"], () => {
  const source = join(import.meta.dirname, "src", "Pages.java");
  execFileSync("javac", ["-nowarn", "-cp", join(lib, "*"), "-d", classes, source], { stdio: ["ignore", 2, 2] });
});
const ports = new Ports(BASE_PORT);
// One after the other: two Dashboards, four clients and three servers at once would only wait for each other.
const apache = await lane("apache", (common) => new ApacheServer({ ...common, lib }));
const skylark = await lane("skylark", (common) => new SkylarkServer({ ...common, layout: "split" }));
finish();

/** @returns {Promise<Map<string, string>>} the normalised text of each visit. */
async function lane(kind, makeServer) {
  const dir = join(tempDir, kind);
  const home = join(dir, "home");
  mkdirSync(join(home, "conf"), { recursive: true });
  const server = makeServer({ dir, ...(await ports.take()), settings: SETTINGS });
  await server.start();
  const { namesrvPort: webPort } = await ports.take();
  const jvm = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx256m",
    `-Duser.home=${home}`,
    "-Djava.net.preferIPv4Stack=true",
  ];
  const logging = ["-Drocketmq.client.logUseSlf4j=false", "-Drocketmq.client.logLevel=WARN"];
  const env = { ROCKETMQ_HOME: home, TZ: "UTC" };
  const run = (name, args) =>
    own(new Child(`${kind} ${name}`, "java", args, { log: join(dir, `${name}.log`), cwd: home, env }));
  const clients = run("clients", [
    ...jvm,
    ...logging,
    "-cp",
    `${classes}:${join(lib, "*")}`,
    "Pages",
    server.namesrvAddr,
    server.brokerAddr,
    "hold",
  ]);
  await clients.line(/^ready$/, LIMIT_MS);
  const dashboard = run("web", [
    ...jvm,
    "-jar",
    jar,
    "--server.address=127.0.0.1",
    `--server.port=${webPort}`,
    `--rocketmq.config.namesrvAddrs=${server.namesrvAddr}`,
    `--rocketmq.config.dataPath=${join(home, "data")}`,
    "--rocketmq.config.timeoutMillis=20000",
  ]);
  const url = `http://127.0.0.1:${webPort}`;
  await answering(url);
  const seen = await look(url, join(out, kind), join(dir, "browser"));
  const names = { [server.namesrvAddr]: "<namesrv>", [server.brokerAddr]: "<broker>", [dir]: "<dir>" };
  const texts = new Map();
  for (const { name, mask = [], sort = false } of visits) {
    texts.set(name, normal(seen.get(name) ?? "(not seen)", names, { mask, sort }));
  }
  for (const child of [dashboard, clients]) await child.kill9();
  await server.kill9();
  return texts;
}

async function answering(url) {
  const limit = Date.now() + LIMIT_MS;
  while (Date.now() < limit) {
    try {
      if ((await fetch(`${url}/cluster/list.query`)).ok) return;
    } catch {
      // Not yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`the Dashboard at ${url} does not answer within ${LIMIT_MS} ms`);
}

/** Visits all pages of a Dashboard; a step that cannot be done is that visit's text, the others go on. */
async function look(url, dir, profile) {
  mkdirSync(dir, { recursive: true });
  const browser = await Browser.start(program, profile);
  const seen = new Map();
  try {
    const at = (hash) => browser.open(`${url}/#${hash}`);
    for (const [i, { name, steps }] of visits.entries()) {
      let text;
      try {
        await steps(browser, at);
        text = await browser.read();
      } catch (error) {
        text = `(${error.message})\n${await browser.read().catch(() => "")}`;
      }
      const complaints = browser.complaints.splice(0).map((each) => `[script] ${each}`);
      seen.set(name, [text, ...complaints].join("\n"));
      const file = `${String(i + 1).padStart(2, "0")}-${name.replaceAll(/[^a-z]+/gi, "-")}.png`;
      await browser.screenshot(join(dir, file));
    }
  } finally {
    await browser.stop();
  }
  writeFileSync(join(dir, "pages.json"), `${JSON.stringify([...seen], null, 2)}\n`);
  return seen;
}

function finish() {
  let passed = 0;
  let failed = 0;
  for (const { name } of visits) {
    const [a, s] = [apache.get(name), skylark.get(name)];
    const declared = DIFFERS.find(([pattern]) => pattern.test(name));
    // A step that could not be done with either server shows nothing.
    const done = !a.startsWith("(") && !s.startsWith("(");
    const good = done && (declared === undefined ? a === s : a !== s && declared[1].test(s));
    good ? passed++ : failed++;
    const word = !done ? "undone" : a !== s ? "differs" : declared === undefined ? "same" : "stale";
    console.log(`${good ? "  " : "! "}${word.padEnd(8)}${name}${declared === undefined ? "" : `  (${declared[2]})`}`);
    if (!good) for (const line of difference(a, s).slice(0, 40)) console.log(`             ${line}`);
    if (options.show)
      console.log(`${a === s ? "" : `    --- apache\n${a}\n`}    --- skylark\n${s}`.replaceAll(/^/gm, "    "));
  }
  console.log(`screenshots in ${out}`);
  if (options.keep) console.log(`files kept in ${tempDir}`);
  else rmSync(tempDir, { recursive: true, force: true, maxRetries: 20 });
  console.log(`\ndashboard pages: ${visits.length} visits\n${passed} passed, ${failed} failed`);
  process.exit(failed > 0 || passed === 0 ? 1 : 0);
}
