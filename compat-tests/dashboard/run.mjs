// What RocketMQ Dashboard and rocketmq-exporter ask, page by page, against Apache 5.5.0 and against Skylark; see src/Pages.java.
//
//   node compat-tests/dashboard/run.mjs [--keep] [--show]
//
// Prints one line a call and "N passed, N failed"; --show prints the answers, too. A difference that is not declared in DIFFERS is a
// failure, and so is a declared one that is gone.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, cached, Missing, WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";
import { Ports } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { difference, normal } from "../mqadmin/normal.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 600;
const LIMIT_MS = 240_000;
/** The trace page needs its topic; what is missing is to stay missing. */
const SETTINGS = { traceTopicEnable: true, autoCreateTopicEnable: false };

/** @type {[call: RegExp, skylark: RegExp, why: string][]} what differs on purpose: which call, what Skylark's answer must match */
const DIFFERS = [
  [
    /^acl: /,
    /"words": "An system error occurred, please try again later\. There are no users: authenticationEnabled is false"/,
    "both refuse while nothing in the configuration speaks of users; Skylark says why",
  ],
];

const { values: options } = parseArgs({
  options: { keep: { type: "boolean", default: false }, show: { type: "boolean", default: false } },
});

const began = Date.now();
let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED dashboard: ${error.message}\n\ndashboard: 0 passed, 0 failed, 1 suites skipped`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const classes = join(WORK, "dashboard");
cached(classes, ["dashboard/src"], () => {
  const source = join(import.meta.dirname, "src", "Pages.java");
  execFileSync("javac", ["-nowarn", "-cp", join(lib, "*"), "-d", classes, source], { stdio: ["ignore", 2, 2] });
});
const tempDir = mkdtempSync(join(tmpdir(), "skylark-dashboard-"));
const ports = new Ports(BASE_PORT);
const [apache, skylark] = await Promise.all([
  lane("apache", (common) => new ApacheServer({ ...common, lib })),
  lane("skylark", (common) => new SkylarkServer({ ...common, layout: "split" })),
]);
finish();

/** @returns {Promise<Map<string, string>>} the normalised answer of each call. */
async function lane(kind, makeServer) {
  const dir = join(tempDir, kind);
  const home = join(dir, "client-home");
  mkdirSync(join(home, "conf"), { recursive: true });
  const server = makeServer({ dir, ...(await ports.take()), settings: SETTINGS });
  await server.start();
  const flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m", `-Duser.home=${home}`];
  const logging = ["-Drocketmq.client.logUseSlf4j=false", "-Drocketmq.client.logLevel=WARN"];
  const args = [
    ...flags,
    ...logging,
    "-Djava.net.preferIPv4Stack=true",
    "-cp",
    `${classes}:${join(lib, "*")}`,
    "Pages",
  ];
  const child = own(
    new Child(`${kind} pages`, "java", [...args, server.namesrvAddr, server.brokerAddr], {
      log: join(dir, "pages.log"),
      cwd: home,
      env: { ROCKETMQ_HOME: home, TZ: "UTC" },
    }),
  );
  const names = { [server.namesrvAddr]: "<namesrv>", [server.brokerAddr]: "<broker>", [dir]: "<dir>" };
  const answers = new Map();
  child.onLine((line) => {
    const [, call, answer] = /^call (.*?)\t(.*)$/.exec(line) ?? [];
    if (call !== undefined) answers.set(call, normal(JSON.stringify(JSON.parse(answer), null, 1), names));
  });
  await child.line(/^done$/, LIMIT_MS);
  await server.kill9();
  return answers;
}

function finish() {
  let passed = 0;
  let failed = 0;
  for (const call of new Set([...apache.keys(), ...skylark.keys()])) {
    const [a, s] = [apache.get(call) ?? "(not made)", skylark.get(call) ?? "(not made)"];
    const declared = DIFFERS.find(([pattern]) => pattern.test(call));
    const good = declared === undefined ? a === s : a !== s && declared[1].test(s);
    good ? passed++ : failed++;
    const word = a === s ? (declared === undefined ? "same" : "stale") : "differs";
    console.log(`${good ? "  " : "! "}${word.padEnd(8)}${call}${declared === undefined ? "" : `  (${declared[2]})`}`);
    if (!good) for (const line of difference(a, s).slice(0, 40)) console.log(`             ${line}`);
    if (options.show)
      console.log(`${a === s ? "" : `    --- apache\n${a}\n`}    --- skylark\n${s}`.replaceAll(/^/gm, "    "));
  }
  writeFileSync(
    join(WORK, "dashboard.json"),
    `${JSON.stringify({ apache: [...apache], skylark: [...skylark] }, null, 2)}\n`,
  );
  if (options.keep) console.log(`files kept in ${tempDir}`);
  else rmSync(tempDir, { recursive: true, force: true });
  console.log(`\ndashboard: ${apache.size} calls, ${((Date.now() - began) / 1000).toFixed(1)} s`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 || passed === 0 ? 1 : 0);
}
