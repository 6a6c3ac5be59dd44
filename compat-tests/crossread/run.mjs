// Cross-reading: a store written by one server is opened by the other, after a clean stop and after kill -9, in both directions.
//
//   node compat-tests/crossread/run.mjs [--from apache|skylark] [--end clean|kill9] [--self] [--keep]
//
// The writing and the looking is done by a Java client (compat-tests/java, class Crossread): every message's bytes, offsets, ids, keys, tags,
// properties, consumer offsets, topic and group configuration, delayed messages and retries that were still waiting; then new messages
// must follow without a gap. --self also opens each store with the server that wrote it, which shows what the test itself is worth.
// Prints one line per direction and "N passed, N failed".

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, javaClient, Missing, WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";
import { Ports } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { Slots } from "../lib/slots.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 700;
/** Small files, so that every kind of file of the store rolls over; and one level that is longer than the change of servers. */
const SETTINGS = {
  messageDelayLevel: "1s 5s 30s",
  mappedFileSizeCommitLog: 8 * 1024 * 1024,
  mappedFileSizeConsumeQueue: 20 * 300,
  maxHashSlotNum: 2_000,
  maxIndexNum: 4_000,
};

const { values: options } = parseArgs({
  options: {
    from: { type: "string", multiple: true },
    end: { type: "string", multiple: true },
    self: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

const started = Date.now();
const logDir = join(WORK, "logs-crossread");
const results = [];
let lib;
let client;
try {
  lib = apacheLib();
  client = javaClient("5.5.0");
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED crossread: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-crossread-"));
rmSync(logDir, { recursive: true, force: true });

const ports = new Ports(BASE_PORT);
// Much of a direction is waiting for delayed messages and for JVMs to stop.
const slots = new Slots(2);
const directions = [];
for (const from of options.from ?? ["skylark", "apache"]) {
  const other = from === "apache" ? "skylark" : "apache";
  for (const to of options.self ? [other, from] : [other]) {
    for (const end of options.end ?? ["clean", "kill9"]) directions.push(slots.run(() => direction(from, to, end)));
  }
}
await Promise.all(directions);
finish();

async function direction(from, to, end) {
  const name = `${from} -> ${to}, ${end}`;
  const dir = join(tempDir, name.replaceAll(/[^a-z0-9]+/g, "-"));
  const store = join(dir, "store");
  const manifest = join(dir, "manifest.tsv");
  const begin = Date.now();
  let writer;
  let reader;
  let detail = "";
  let facts = {};
  try {
    // Both servers have the same ports: the broker's address is inside every offset message id.
    const place = await ports.take();
    writer = server(from, join(dir, "writer"), store, place);
    await writer.start();
    await program("write", writer, manifest, dir);
    if (end === "clean") await writer.stopGracefully();
    else await writer.kill9();
    reader = server(to, join(dir, "reader"), store, place);
    await reader.start();
    facts = await program("verify", reader, manifest, dir);
    const stopped = await reader.stopBroker();
    if (stopped.killed) detail = "the reader did not stop by itself";
  } catch (error) {
    detail = error.message;
  }
  await writer?.kill9();
  await reader?.kill9();
  const ok = detail === "";
  const seconds = (Date.now() - begin) / 1000;
  results.push({ direction: name, ok, detail, seconds, facts });
  const compared = ok ? `, ${facts["messages compared"]} messages compared` : `: ${detail}`;
  console.log(`${ok ? "ok  " : "FAIL"} ${name}${compared} (${seconds.toFixed(1)} s)`);
  if (ok && !options.keep) rmSync(dir, { recursive: true, force: true });
}

function server(kind, dir, store, place) {
  mkdirSync(dir, { recursive: true });
  const common = { dir, store, ...place, settings: SETTINGS };
  return kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer(common);
}

/** Runs the Java half; hands back its facts, or fails with its detail. */
async function program(mode, server, manifest, dir) {
  const args = client.args(dir, "skylark.compat.Crossread");
  const log = join(dir, `${mode}.log`);
  const child = own(
    new Child(`crossread ${mode}`, client.command, [...args, mode, server.namesrvAddr, server.brokerAddr, manifest], {
      log,
    }),
  );
  const lines = [];
  child.onLine((line) => lines.push(line));
  const timer = setTimeout(() => child.kill9(), 300_000);
  const { code, signal } = await child.exited;
  clearTimeout(timer);
  const line = lines.find((candidate) => candidate.startsWith("{"));
  if (line === undefined) throw new Error(`${mode} ended (${signal ?? code}) without a result; see ${log}`);
  const { ok, detail, facts } = JSON.parse(line);
  if (!ok) throw new Error(`${mode} against ${server.kind}: ${detail}`);
  return facts;
}

function finish() {
  const failed = results.filter(({ ok }) => !ok).length;
  writeFileSync(
    join(WORK, "crossread.json"),
    `${JSON.stringify({ results, seconds: (Date.now() - started) / 1000 }, null, 2)}\n`,
  );
  if (options.keep || failed > 0) console.log(`files kept in ${tempDir}`);
  else rmSync(tempDir, { recursive: true, force: true });
  console.log(`crossread: ${results.length - failed} passed, ${failed} failed`);
  process.exit(failed > 0 ? 1 : 0);
}
