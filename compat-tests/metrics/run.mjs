// The metrics of a broker, scraped after one load from Apache RocketMQ 5.5.0 and from Skylark: names, types, help texts, series with all their
// labels, bounds of histograms, and the values that the load determines must be equal, but for what is declared below with its reason.
//
//   node compat-tests/metrics/run.mjs [--show]

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing } from "../lib/build.mjs";
import { Ports } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { load } from "./load.mjs";
import { histogramsOf, parseExposition, seriesOf } from "./prom.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 1_100;
/** Behind the broker's own ports. */
const METRICS_PORT_OFFSET = 5;
const SCRAPE_LIMIT_MS = 30_000;
const show = process.argv.includes("--show");

/** What Apache has and Skylark has not. */
const NOT_OURS = [
  [/^rocketmq_pop_buffer_scan_time_consume_/, "pops are revived by deadline: there is no buffer to scan"],
  [/rmq_sys_REVIVE_LOG_/, "the journal of pops is neither pulled nor put into the timer wheel"],
  [/^rocketmq_pop_revive_out_message_total.*"ACK"/, "acknowledgements are not read back from the journal"],
];
/** Figures of ours have their own prefix. */
const OURS = /^skylark_/;
/** A label whose value is chance. */
const CHANCE = { rocketmq_pop_revive_out_message_total: ["queue_id"] };
/** Families whose values the load determines. */
const DETERMINED = [
  "rocketmq_broker_permission",
  "rocketmq_commit_messages_total",
  "rocketmq_consumer_connections",
  "rocketmq_consumer_group_number",
  "rocketmq_consumer_inflight_messages",
  "rocketmq_consumer_lag_messages",
  "rocketmq_consumer_ready_messages",
  "rocketmq_finish_message_latency_milliseconds",
  "rocketmq_half_messages",
  "rocketmq_message_size",
  "rocketmq_messages_in_total",
  "rocketmq_messages_out_total",
  "rocketmq_pop_revive_retry_messages_total",
  "rocketmq_producer_connections",
  "rocketmq_rollback_messages_total",
  "rocketmq_send_to_dlq_messages_total",
  "rocketmq_throughput_in_total",
  "rocketmq_throughput_out_total",
  "rocketmq_timer_enqueue_total",
  "rocketmq_timing_messages",
  "rocketmq_topic_number",
];

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED metrics: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}

const tempDir = mkdtempSync(join(tmpdir(), "skylark-metrics-"));
const ports = new Ports(BASE_PORT);
let passed = 0;
let failed = 0;
const apache = await scraped("apache", (common) => new ApacheServer({ ...common, lib }));
const skylark = await scraped("skylark", (common) => new SkylarkServer(common));
compare(apache, skylark);
rmSync(tempDir, { recursive: true, force: true });
console.log(`metrics: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

async function scraped(kind, make) {
  const dir = join(tempDir, kind);
  mkdirSync(dir, { recursive: true });
  const own = await ports.take();
  const metricsPort = own.brokerPort + METRICS_PORT_OFFSET;
  const settings = {
    metricsExporterType: "PROM",
    metricsPromExporterHost: "127.0.0.1",
    metricsPromExporterPort: metricsPort,
  };
  const server = make({ dir, ...own, settings });
  try {
    await server.start();
    const end = await load(own.brokerPort);
    // Metrics of requests are recorded when their answer has left, some of Apache's a little later.
    const text = await settled(metricsPort);
    end();
    if (show) console.log(`==== ${kind}\n${text}`);
    return parseExposition(text);
  } finally {
    await server.kill9();
  }
}

/** Scrapes until two scrapes in a row have the same series. */
async function settled(port) {
  const began = Date.now();
  let before = "";
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    if (response.status !== 200) throw new Error(`/metrics: ${response.status}`);
    const type = response.headers.get("content-type");
    if (type !== "text/plain; version=0.0.4; charset=utf-8") throw new Error(`/metrics is ${type}`);
    const text = await response.text();
    const series = text.replace(/^([^#\n].*) \S+$/gm, "$1");
    if (series === before) return text;
    if (Date.now() - began > SCRAPE_LIMIT_MS) throw new Error("the series do not settle");
    before = series;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

function compare(theirs, ours) {
  for (const [name, family] of theirs) {
    if (NOT_OURS.some(([pattern]) => pattern.test(name))) continue;
    const own = ours.get(name);
    if (own === undefined) {
      fail(`${name} is missing`);
      continue;
    }
    expectEqual(`${name}: type`, family.type, own.type);
    expectEqual(`${name}: help`, family.help, own.help);
    const [a, b] = [family, own].map(({ samples }) => seriesByKey(name, samples));
    expectEqual(`${name}: series`, [...a.keys()], [...b.keys()]);
    if (family.type === "histogram") expectEqual(`${name}: bounds`, boundsOf(family), boundsOf(own));
    if (DETERMINED.includes(name)) expectEqual(`${name}: values`, [...a], [...b]);
  }
  for (const name of ours.keys()) if (!theirs.has(name) && !OURS.test(name)) fail(`Apache has no ${name}`);
  for (const name of DETERMINED) if (!theirs.has(name)) fail(`the load did not bring Apache to ${name}`);
}

/** Values by series, in one order, without what is declared. */
function seriesByKey(name, samples) {
  const series = samples.map((sample) => {
    const labels = { ...sample.labels };
    for (const label of CHANCE[name] ?? []) labels[label] = "chance";
    return [`${sample.name} ${seriesOf(labels)}`, sample.value];
  });
  return new Map(
    series.filter(([key]) => !NOT_OURS.some(([pattern]) => pattern.test(key))).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function boundsOf({ samples }) {
  return [...new Set(histogramsOf(samples).map(({ buckets }) => buckets.map(([le]) => le).join(" ")))];
}

function expectEqual(what, theirs, ours) {
  const [a, b] = [theirs, ours].map((value) => JSON.stringify(value, undefined, 1));
  if (a === b) {
    passed++;
    return;
  }
  const [linesA, linesB] = [a, b].map((text) => new Set(String(text).split("\n")));
  const only = (from, other) => [...from].filter((line) => !other.has(line)).join("\n    ");
  fail(`${what}\n  only apache:\n    ${only(linesA, linesB)}\n  only skylark:\n    ${only(linesB, linesA)}`);
}

function fail(message) {
  failed++;
  console.log(`FAILED ${message}`);
}
