// What hand-written Testcontainers set-ups do with Apache's image, done to ours and to Apache's: start both servers by a shell in the working
// directory, wait for "boot success", tell the broker its published address by mqadmin, send and receive from outside with the official Java client.
//
//   node compat-tests/docker/testcontainers.mjs [--image NAME]... [--keep]
//
// The orders of the three mqadmin calls and the ways to start vary in the wild, so they vary here. Prints a line each and "N passed, N failed".

import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { javaClient, WORK } from "../lib/build.mjs";
import { Checks } from "../lib/checks.mjs";
import { runClient } from "../lib/session.mjs";
import { BASES, docker, engineMissing, hasImage, OURS } from "./engine.mjs";
import { inside, READY, said } from "./observe.mjs";

const { values: options } = parseArgs({
  options: {
    image: { type: "string", multiple: true, default: [BASES.apache, OURS] },
    keep: { type: "boolean", default: false },
  },
});

const PORTS = [9876, 10911, 10909];
const HOST = "127.0.0.1";
const SCENARIOS = ["push-cluster", "tags", "ordered-selector"];
/** Wants ids of messages that name the published address; Apache's name the address inside the container. */
const OURS_ONLY = ["send-sync"];
/** How set-ups start both servers, and in which order they tell the broker where it is reached. */
const RECIPES = [
  {
    start: ["sh", "-c", "./mqnamesrv &\n./mqbroker -n localhost:9876"],
    tell: ["brokerIP1", "listenPort", "brokerPermission"],
    boots: 2,
  },
  {
    start: ["/bin/sh", "-c", "sh mqnamesrv & sh mqbroker -n localhost:9876"],
    tell: ["listenPort", "brokerIP1", "brokerPermission"],
    boots: 2,
  },
  {
    start: ["sh", "-c", "./mqnamesrv & ./mqbroker -n localhost:9876 -c ../conf/broker.conf"],
    tell: ["brokerPermission", "listenPort", "brokerIP1"],
    boots: 1,
  },
];
/** Apache registers at once only when brokerPermission changes: what is told after it waits up to 30 s. */
const lateOn = (image, { tell }) => image === BASES.apache && tell.at(-1) !== "brokerPermission";

const logDir = join(WORK, "logs", "testcontainers");
rmSync(logDir, { recursive: true, force: true });
mkdirSync(logDir, { recursive: true });
const checks = new Checks();
const check = checks.check.bind(checks);

const mapped = (id, port) =>
  Number(
    docker(["port", id, `${port}/tcp`])
      .split("\n")[0]
      .split(":")
      .at(-1),
  );

async function run(image, recipe, client, index) {
  const title = `${image}, recipe ${index + 1}`;
  const published = PORTS.flatMap((port) => ["-p", `${HOST}::${port}`]);
  const id = docker(["run", "-d", "--rm", ...published, image, ...recipe.start]);
  try {
    const began = Date.now();
    await said(id, READY.any, recipe.boots);
    if (recipe.boots === 1) await said(id, READY.broker);
    check(`${title}: boot success`, true, `after ${Date.now() - began} ms`);
    const broker = mapped(id, 10911);
    const values = { brokerIP1: HOST, listenPort: broker, brokerPermission: 6 };
    for (const key of recipe.tell) {
      const { status, text } = inside(id, [
        ...["./mqadmin", "updateBrokerConfig", "-b", "localhost:10911"],
        ...["-k", key, "-v", `${values[key]}`],
      ]);
      const ok = status === 0 && !text.includes("failed");
      check(`${title}: updateBrokerConfig ${key}`, ok, ok ? "" : `${status} ${text}`);
    }
    if (lateOn(image, recipe)) await new Promise((resolve) => setTimeout(resolve, 31_000));
    const server = { namesrvAddr: `${HOST}:${mapped(id, 9876)}`, brokerAddr: `${HOST}:${broker}` };
    const names = image === BASES.apache ? SCENARIOS : [...OURS_ONLY, ...SCENARIOS];
    const results = await runClient({
      client,
      parts: [{ names, server }],
      parallel: names.length,
      runId: `${Date.now().toString(36).slice(-5)}${index}`,
      home: join(logDir, `${image.replaceAll(/[^a-z0-9.]+/g, "-")}-${index}`),
      logDir,
    });
    for (const [name, [{ ok, detail }]] of results) check(`${title}: ${name} from outside`, ok, ok ? "" : detail);
    const stopping = Date.now();
    docker(["stop", "-t", "10", id]);
    const tookMs = Date.now() - stopping;
    // Apache's shell as process 1 hears no SIGTERM: its containers take the whole ten seconds and are killed.
    if (image !== BASES.apache) check(`${title}: docker stop ends it in order`, tookMs < 8_000, `${tookMs} ms`);
  } finally {
    if (!options.keep) spawnSync("docker", ["rm", "-f", id], { stdio: "ignore" });
  }
}

const missing = engineMissing();
if (missing !== undefined) {
  console.log(`!!! SKIPPED testcontainers recipe: no Docker engine: ${missing}`);
  process.exit(0);
}
const client = { id: "java-5.5.0", ...javaClient("5.5.0") };
for (const image of options.image) {
  if (!hasImage(image)) {
    check(`${image} is there`, false, "build it, or make it with make-bases.mjs");
    continue;
  }
  for (const [index, recipe] of RECIPES.entries()) {
    await checks.trying(`${image}, recipe ${index + 1}`, () => run(image, recipe, client, index));
  }
}
process.exit(checks.end("testcontainers recipe"));
