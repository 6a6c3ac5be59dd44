// metricsExporterType=OTLP_GRPC: what Apache RocketMQ 5.5.0 and Skylark send to a collector of ours after one load: the call, its headers, and of
// each metric kind, unit, description, temporality, attributes and bounds must be equal, but for what is declared with its reason.
//
//   node compat-tests/metrics/otlp.mjs [--show]

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing } from "../lib/build.mjs";
import { Ports } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { Collector, isOurs } from "./collector.mjs";
import { load } from "./load.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 1_200;
const show = process.argv.includes("--show");
const OURS = /^skylark_/;

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED metrics: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}

const tempDir = mkdtempSync(join(tmpdir(), "skylark-otlp-"));
const ports = new Ports(BASE_PORT);
let passed = 0;
let failed = 0;
const apache = await collected("apache", (common) => new ApacheServer({ ...common, lib }));
const skylark = await collected("skylark", (common) => new SkylarkServer(common));
compare(apache, skylark);
rmSync(tempDir, { recursive: true, force: true });
console.log(`otlp: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

/** @returns {Promise<{ headers: object, account: Map<string, object> }>} the metrics by name, once their series have settled. */
async function collected(kind, make) {
  const dir = join(tempDir, kind);
  mkdirSync(dir, { recursive: true });
  const own = await ports.take();
  const collector = new Collector();
  const port = await collector.listen();
  const settings = {
    metricsExporterType: "OTLP_GRPC",
    metricsGrpcExporterTarget: `http://127.0.0.1:${port}`,
    metricsGrpcExporterHeader: "x-team:a",
    metricGrpcExporterIntervalInMills: 1_000,
    metricGrpcExporterTimeOutInMills: 30_000,
  };
  const server = make({ dir, ...own, settings });
  try {
    await server.start();
    const end = await load(own.brokerPort);
    const account = await collector.settled();
    end();
    if (show) console.log(kind, JSON.stringify([...account], undefined, 1));
    return { headers: collector.headers, account };
  } finally {
    await server.kill9();
    collector.close();
  }
}

function compare(theirs, ours) {
  expectEqual("headers", theirs.headers, ours.headers);
  for (const [name, metric] of theirs.account) {
    if (!isOurs(name)) continue;
    expectEqual(name, metric, ours.account.get(name));
  }
  for (const name of ours.account.keys()) {
    if (!theirs.account.has(name) && !OURS.test(name)) fail(`Apache sends no ${name}`);
  }
}

function expectEqual(what, theirs, ours) {
  const [a, b] = [theirs, ours].map((value) => JSON.stringify(value, undefined, 1) ?? "nothing");
  if (a === b) passed++;
  else {
    const [linesA, linesB] = [a, b].map((text) => new Set(text.split("\n")));
    const only = (from, other) => [...from].filter((line) => !other.has(line)).join("\n    ");
    fail(`${what}\n  only apache:\n    ${only(linesA, linesB)}\n  only skylark:\n    ${only(linesB, linesA)}`);
  }
}

function fail(message) {
  failed++;
  console.log(`FAILED ${message}`);
}
