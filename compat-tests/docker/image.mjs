// Our image as engines and orchestrators treat it: health, signals, volumes, a read-only root, variables, its size and how fast it starts.
//
//   node compat-tests/docker/image.mjs [--only NAME]... [--figures]
//
// Each part is a container of its own, asked through its own mqadmin. --figures measures on top how long a start takes and what an idle server
// weighs, best of several; figures say nothing on a machine that does other things. Prints a line each and "N passed, N failed".

import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import "../lib/child.mjs"; // an interrupted run ends by process.exit, which removes what it made
import { Checks } from "../lib/checks.mjs";
import { Network } from "./containers.mjs";
import { docker, engineMissing, hasImage, OURS } from "./engine.mjs";
import { inside, inspect, output, READY, said, stop, until } from "./observe.mjs";

/** The goal of docs/docker.md. */
const SIZE_MAX_BYTES = 120e6;
/** `docker stop` gives ten seconds; a server in order needs much less even on a busy machine. */
const STOP_MAX_MS = 8_000;
const STORE = "/home/rocketmq/store";
const ROCKETMQ_UID = 3000;
/** Of a shell inside: the process id of the broker among others. */
const PROCESS_OF_BROKER =
  "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline | grep -q '^node .*/mqbroker ' && basename $p; done";
const STARTS = 10;
const IDLE_MS = 20_000;

const { values: options } = parseArgs({
  options: { only: { type: "string", multiple: true }, figures: { type: "boolean", default: false } },
});

const checks = new Checks();
const check = checks.check.bind(checks);
const temp = mkdtempSync(join(tmpdir(), "skylark-image-"));
let names = 0;

const PARTS = {
  size,
  health,
  signals,
  "signals-early": signalsEarly,
  "signals-shell": signalsShell,
  volume,
  "volume-foreign": volumeForeign,
  "other-user": otherUser,
  "read-only": readOnly,
  "environment-broker": environmentBroker,
  "environment-namesrv": environmentNamesrv,
  "environment-jvm": environmentJvm,
  commands,
  ...(options.figures ? { figures } : {}),
};

/** Starts a container in the background. */
function start(flags = [], command = []) {
  return docker(["run", "-d", ...network.flags, ...flags, OURS, ...command]);
}

async function started(flags, command) {
  const id = start(flags, command);
  await said(id, READY.broker);
  return id;
}

/** Runs a container to its end. */
function once(flags, command) {
  const args = ["run", "--rm", ...network.flags, ...flags, OURS, ...command];
  const { status, stdout, stderr } = spawnSync("docker", args, { encoding: "utf8" });
  return { status, stdout, stderr };
}

function end(id) {
  docker(["rm", "-f", "-v", id]);
}

function volumeNamed() {
  const name = `${network.name}-${names++}`;
  docker(["volume", "create", "--label", network.label, name]);
  return name;
}

const send = (id, topic, body) =>
  inside(id, ["./mqadmin", "sendMessage", "-n", "localhost:9876", "-t", topic, "-p", body]).text.includes("SEND_OK");
const read = (id, topic) =>
  inside(id, ["./mqadmin", "consumeMessage", "-n", "localhost:9876", "-t", topic, "-g", `g${names++}`, "-c", "10"])
    .text;
const config = (id, key) =>
  new RegExp(`^${key}\\s*=\\s*(.*?)\\s*$`, "m").exec(
    inside(id, ["./mqadmin", "getBrokerConfig", "-b", "localhost:10911"]).text,
  )?.[1];
const healthOf = (id) => inspect(id, "{{.State.Health.Status}}");
const healthBecomes = (id, what) =>
  until(
    () => healthOf(id),
    (is) => is === what,
  );

function size() {
  const bytes = Number(inspect(OURS, "{{.Size}}"));
  check("size", bytes <= SIZE_MAX_BYTES, `${(bytes / 1e6).toFixed(1)} MB of ${SIZE_MAX_BYTES / 1e6}`);
  check("user", inspect(OURS, "{{.Config.User}}") === "3000:3000", inspect(OURS, "{{.Config.User}}"));
}

/** Healthy while every server answers; not when one of two is stuck; healthy again when it goes on. */
async function health() {
  const often = ["--health-interval", "1s", "--health-retries", "2", "--health-timeout", "10s"];
  const one = await started(often);
  check("health: one process", (await healthBecomes(one, "healthy")) === "healthy");
  end(one);
  const two = start(often, ["sh", "-c", "./mqnamesrv & ./mqbroker -n localhost:9876"]);
  await said(two, READY.any, 2);
  check("health: two processes", (await healthBecomes(two, "healthy")) === "healthy");
  const broker = inside(two, ["sh", "-c", PROCESS_OF_BROKER]).text.trim();
  check("health: its process is found", /^\d+$/.test(broker), broker);
  inside(two, ["kill", "-STOP", broker]);
  check("health: a broker that is stuck", (await healthBecomes(two, "unhealthy")) === "unhealthy");
  inside(two, ["kill", "-CONT", broker]);
  check("health: it goes on", (await healthBecomes(two, "healthy")) === "healthy");
  end(two);
  const proxy = start(often, ["mqproxy", "-n", "localhost:9876"]);
  check("health: a proxy", (await healthBecomes(proxy, "healthy")) === "healthy");
  end(proxy);
}

/** The server is process 1 and hears both signals; a clean stop leaves no `abort` in the store. */
async function signals() {
  for (const signal of ["SIGTERM", "SIGINT"]) {
    const store = volumeNamed();
    const id = await started(["-v", `${store}:${STORE}`, "--stop-signal", signal]);
    check(`${signal}: the server is process 1`, /^node\b.*skylark/.test(argumentsOf1(id)), argumentsOf1(id));
    const { tookMs, exitCode } = stop(id);
    check(`${signal}: ends in order`, exitCode === 0 && tookMs < STOP_MAX_MS, `status ${exitCode}, ${tookMs} ms`);
    check(`${signal}: a clean store`, !listed(store).includes("abort") && listed(store).includes("checkpoint"));
    end(id);
  }
}

const argumentsOf1 = (id) => inside(id, ["sh", "-c", "tr '\\0' ' ' </proc/1/cmdline"]).text.trim();
const listed = (store) => once(["-v", `${store}:${STORE}`], ["ls", STORE]).stdout.split("\n");

/** Stopped while it starts: the kernel gives process 1 no default action for a signal that it does not handle yet. */
async function signalsEarly() {
  const id = start();
  await said(id, READY.namesrv);
  const { tookMs, exitCode } = stop(id);
  const ok = tookMs < STOP_MAX_MS && [0, 143].includes(exitCode);
  check("SIGTERM between two ready lines", ok, `status ${exitCode}, ${tookMs} ms`);
  end(id);
}

async function signalsShell() {
  const store = volumeNamed();
  const id = start(["-v", `${store}:${STORE}`], ["sh", "-c", "./mqnamesrv & ./mqbroker -n localhost:9876"]);
  await said(id, READY.any, 2);
  const { tookMs, exitCode } = stop(id);
  check("SIGTERM to a shell", exitCode === 143 && tookMs < STOP_MAX_MS, `status ${exitCode}, ${tookMs} ms`);
  check("SIGTERM to a shell: a clean store", !listed(store).includes("abort") && listed(store).includes("checkpoint"));
  end(id);
}

/** A volume belongs to the server's user, and keeps its messages across containers, one of them killed. */
async function volume() {
  const flags = ["-v", `${volumeNamed()}:${STORE}`];
  let id = await started(flags);
  check("volume: written as rocketmq", inside(id, ["stat", "-c", "%u", `${STORE}/commitlog`]).text.trim() === "3000");
  check("volume: send", send(id, "kept", "first"));
  docker(["kill", id]);
  end(id);
  id = await started(flags);
  check("volume: read by another container after a kill", read(id, "kept").includes("first"));
  check("volume: send again", send(id, "kept", "second"));
  stop(id);
  end(id);
  id = await started(flags);
  check("volume: read after a stop", read(id, "kept").includes("second"));
  end(id);
}

/** A directory of the host: root's is refused with a reason, one of user 3000 serves. */
async function volumeForeign() {
  chmodSync(temp, 0o755);
  const roots = join(temp, "roots");
  mkdirSync(roots, { mode: 0o755 });
  const id = start(["-v", `${roots}:${STORE}`]);
  await until(
    () => inspect(id, "{{.State.Status}}"),
    (status) => status === "exited",
  );
  const reason = output(id);
  check("a store of somebody else: ends", inspect(id, "{{.State.ExitCode}}") === "1");
  check(
    "a store of somebody else: says why",
    /EACCES|permission denied/i.test(reason) && reason.includes(STORE),
    reason.trim(),
  );
  end(id);
  const own = join(temp, "own");
  mkdirSync(own);
  chownSync(own, ROCKETMQ_UID, ROCKETMQ_UID);
  const other = await started(["-v", `${own}:${STORE}`]);
  check("a directory of user 3000", existsSync(join(own, "commitlog")));
  stop(other);
  end(other);
}

/** Kubernetes and OpenShift choose users; all it needs is a store that this user may write. */
async function otherUser() {
  const store = join(temp, "other");
  mkdirSync(store);
  chownSync(store, 4711, 0);
  const id = await started(["--user", "4711:0", "-v", `${store}:${STORE}`]);
  check("another user", send(id, "other", "hello") && read(id, "other").includes("hello"));
  const { exitCode } = stop(id);
  check("another user: ends in order", exitCode === 0, `${exitCode}`);
  end(id);
}

async function readOnly() {
  const hard = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
  const often = ["--health-interval", "1s"];
  const id = await started([...hard, ...often, "--tmpfs", "/tmp", "-v", `${volumeNamed()}:${STORE}`]);
  check("a read-only root, no capabilities", send(id, "locked", "hello") && read(id, "locked").includes("hello"));
  check("a read-only root: healthy", (await healthBecomes(id, "healthy")) === "healthy");
  check("a read-only root: really", inside(id, ["touch", "/home/rocketmq/x"]).status !== 0);
  const { exitCode } = stop(id);
  check("a read-only root: ends in order", exitCode === 0, `${exitCode}`);
  end(id);
}

/** Variables over the file, flags over variables; what does not exist is said. */
async function environmentBroker() {
  writeFileSync(join(temp, "broker.conf"), "brokerClusterName=FromFile\nbrokerName=file\nfileReservedTime=11\n");
  const mount = ["-v", `${temp}/broker.conf:/conf/broker.conf:ro`];
  chmodSync(temp, 0o755);
  const variables = {
    ROCKETMQ_BROKER_brokerName: "from-variable",
    ROCKETMQ_BROKER_autoCreateTopicEnable: "false",
    ROCKETMQ_BROKER_listenPort: "12000",
    ROCKETMQ_BROKER_noSuchKey: "1",
    ADVERTISED_HOST: "broker.example.org",
  };
  const env = Object.entries(variables).flatMap(([key, value]) => ["-e", `${key}=${value}`]);
  // The name goes into message ids as an address, so it must have one where the broker runs.
  const host = ["--add-host", "broker.example.org:192.0.2.1"];
  const id = await started([...mount, ...env, ...host], ["start", "-c", "/conf/broker.conf", "--listen-port", "10911"]);
  check("a key of the file", config(id, "brokerClusterName") === "FromFile", config(id, "brokerClusterName"));
  check("ROCKETMQ_BROKER_<key> over the file", config(id, "brokerName") === "from-variable", config(id, "brokerName"));
  check("ROCKETMQ_BROKER_<key> over the default", config(id, "autoCreateTopicEnable") === "false");
  check("a flag over ROCKETMQ_BROKER_<key>", config(id, "listenPort") === "10911", config(id, "listenPort"));
  check("ADVERTISED_HOST is brokerIP1", config(id, "brokerIP1") === "broker.example.org", config(id, "brokerIP1"));
  const route = () => inside(id, ["./mqadmin", "clusterList", "-n", "localhost:9876"]).text;
  const row = await until(route, (text) => text.includes("from-variable"));
  check("ADVERTISED_HOST is what clients are told", row.includes("broker.example.org:10911"), row);
  const told = output(id);
  check("a key that does not exist is named", told.includes("noSuchKey"), told);
  end(id);
}

/** NAMESRV_ADDR: another container's NameServer, and none of its own. */
async function environmentNamesrv() {
  const names = ["--network-alias", "names", "-e", "ROCKETMQ_NAMESRV_listenPort=9999"];
  const namesrv = start(names, ["mqnamesrv"]);
  await said(namesrv, READY.namesrv);
  const id = await started(["-e", "NAMESRV_ADDR=names:9999"]);
  check("NAMESRV_ADDR: none of its own", !READY.namesrv.test(output(id)));
  const list = () => inside(id, ["./mqadmin", "clusterList", "-n", "names:9999"]).text;
  const row = await until(list, (text) => text.includes("broker-a"));
  check("NAMESRV_ADDR: registered there", row.includes("broker-a"), row);
  const asked = once(["-e", "NAMESRV_ADDR=names:9999"], ["mqadmin", "clusterList"]);
  check("NAMESRV_ADDR: mqadmin reads it, too", asked.stdout.includes("broker-a"), `${asked.stdout}${asked.stderr}`);
  for (const each of [id, namesrv]) {
    const { exitCode } = stop(each);
    check("NAMESRV_ADDR: ends in order", exitCode === 0, `${exitCode}`);
    end(each);
  }
}

/** Apache's variables of the JVM are accepted: one line names them, -Dtls.* flags act. */
async function environmentJvm() {
  const heap = ["-e", "JAVA_OPT_EXT=-server -Xms512m -Xmx512m -Xmn256m", "-e", "MAX_POSSIBLE_HEAP=100000000"];
  const id = await started([...heap, "-e", "HEAP_NEWSIZE=128m"]);
  const lines = output(id)
    .split("\n")
    .filter((line) => line.includes("no effect"));
  const all = ["JAVA_OPT_EXT", "MAX_POSSIBLE_HEAP", "HEAP_NEWSIZE"].every((name) => lines[0]?.includes(name));
  check("variables of a JVM: one line", lines.length === 1 && all, lines.join("\n"));
  end(id);
  const often = ["--health-interval", "1s"];
  const tls = start([...often, "-e", "JAVA_OPT_EXT=-Dtls.server.mode=enforcing -Dtls.test.mode.enable=true"]);
  await said(tls, READY.broker);
  const plain = once([], ["mqadmin", "brokerStatus", "-b", `${addressOf(tls)}:10911`]);
  check(
    "-Dtls.server.mode=enforcing in JAVA_OPT_EXT acts",
    plain.status !== 0 || !plain.stdout.includes("bootTimestamp"),
  );
  check("-Dtls.server.mode=enforcing: healthy", (await healthBecomes(tls, "healthy")) === "healthy");
  end(tls);
}

const addressOf = (id) => inspect(id, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");

/** What was written for Apache's image runs as it is. */
async function commands() {
  writeFileSync(join(temp, "topics.json"), JSON.stringify([{ name: "orders", queues: 3 }]));
  const id = await started(["-v", `${temp}/topics.json:/topics.json:ro`], ["start", "--topics", "/topics.json"]);
  const route = inside(id, ["./mqadmin", "topicRoute", "-n", "localhost:9876", "-t", "orders"]).text;
  check("start --topics", /"writeQueueNums":\s*3/.test(route), route);
  check("sh mqadmin", inside(id, ["sh", "mqadmin", "clusterList", "-n", "localhost:9876"]).text.includes("broker-a"));
  const where = inside(id, ["pwd"]).text.trim();
  check("working directory", where === "/home/rocketmq/rocketmq-5.5.0/bin", where);
  const status = inside(id, [
    "./mqadmin",
    "updateBrokerConfig",
    "-b",
    "localhost:1",
    "-k",
    "brokerPermission",
    "-v",
    "6",
  ]);
  check("mqadmin says when it failed", status.text.includes("1"), status.text);
  end(id);
  const doctor = once([], ["skylark", "doctor", "-n", "localhost:1"]);
  check("skylark doctor", doctor.status === 2, `${doctor.status} ${doctor.stdout}`);
  const missing = once([], ["start", "-c", "/no/such/file"]);
  check("a file that is missing: ends and says so", missing.status === 1 && missing.stderr.includes("/no/such/file"));
}

/** From the engine's own word that the process was started to the time of the ready line, and the whole of `docker run`. */
async function figures() {
  const inner = [];
  const outer = [];
  for (let i = 0; i < STARTS; i++) {
    const began = Date.now();
    const id = await started();
    outer.push(Date.now() - began);
    const line = docker(["logs", "-t", id])
      .split("\n")
      .find((text) => text.includes("The broker["));
    inner.push(Date.parse(line.split(" ")[0]) - Date.parse(inspect(id, "{{.State.StartedAt}}")));
    end(id);
  }
  const say = (what, all) => {
    all.sort((a, b) => a - b);
    console.log(`figure ${what}: best ${all[0]} ms, median ${all[all.length >> 1]} ms, worst ${all.at(-1)} ms`);
  };
  say("start of the container to ready", inner);
  say("docker run to ready", outer);
  const id = await started();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const status = inside(id, ["sh", "-c", "grep -E 'VmRSS|RssAnon|RssFile' /proc/1/status"]).text;
  console.log(`figure idle for ${IDLE_MS / 1000} s: ${status.trim().replaceAll(/\s+/g, " ")}`);
  end(id);
}

const missing = engineMissing();
if (missing !== undefined) {
  console.log(`!!! SKIPPED image: no Docker engine: ${missing}`);
  process.exit(0);
}
const network = new Network(`image-${process.pid}`);
try {
  if (!hasImage(OURS)) check(`${OURS} is there`, false, "build it");
  else {
    for (const [name, part] of Object.entries(PARTS)) {
      if (options.only === undefined || options.only.includes(name)) await checks.trying(name, part);
    }
  }
} finally {
  rmSync(temp, { recursive: true, force: true });
}
process.exit(checks.end("image"));
