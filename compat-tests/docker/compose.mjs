// The compose files of docker/compose as users start them: up, every broker in clusterList, the official Java client, a master that stops, down.
//
//   node compat-tests/docker/compose.mjs [--file single|cluster|mixed]...
//
// The clients are containers, too: of single.yml, which publishes its ports, on this machine's network, else on that of the cluster. Prints a line
// each and "N passed, N failed".

import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { javaClient, WORK } from "../lib/build.mjs";
import { Checks } from "../lib/checks.mjs";
import { runClient } from "../lib/session.mjs";
import { contained, Network } from "./containers.mjs";
import { BASES, docker, engineMissing, hasImage, OURS } from "./engine.mjs";
import { inspect, until } from "./observe.mjs";

const FILES = fileURLToPath(new URL("../../docker/compose/", import.meta.url));
const SCENARIOS = ["push-cluster", "tags", "ordered-selector"];
const STOP_SECONDS = 60;
const PAIRS = ["broker-a 0", "broker-a 1", "broker-b 0", "broker-b 1"];
const PUBLISHED = [9876, 10_909, 10_911, 8081];

/**
 * `brokers` as clusterList lists them; `namesrv` the host that knows them, as clients on `network` call it, which is the project's own unless it
 * is named; `masters` are those whose slave answers when they stop.
 */
const CLUSTERS = {
  single: { brokers: ["broker-a 0"], network: "host", namesrv: "127.0.0.1", masters: [], published: PUBLISHED },
  cluster: { brokers: PAIRS, namesrv: "namesrv", masters: ["broker-a", "broker-b"], published: [9876] },
  mixed: { brokers: PAIRS, namesrv: "namesrv", masters: ["broker-a", "broker-b"], published: [9876] },
};

const { values: options } = parseArgs({ options: { file: { type: "string", multiple: true } } });
const checks = new Checks();
const check = checks.check.bind(checks);
const logDir = join(WORK, "logs", "compose");
rmSync(logDir, { recursive: true, force: true });
mkdirSync(logDir, { recursive: true });

const program = ["docker compose", "docker-compose"]
  .map((words) => words.split(" "))
  .find(([command, ...words]) => spawnSync(command, [...words, "version"], { stdio: "ignore" }).status === 0);

/** One project: a compose file under a name of this run. */
class Project {
  constructor(file) {
    this.name = `skylark-${file}-${process.pid}`;
    this.args = ["-p", this.name, "-f", join(FILES, `${file}.yml`)];
    process.on("exit", () => this.compose(["down", "-v", "-t", "1"]));
  }

  compose(words) {
    const [command, ...first] = program;
    const env = { ...process.env, SKYLARK_IMAGE: OURS, APACHE_IMAGE: BASES.apache };
    const { status, stdout, stderr } = spawnSync(command, [...first, ...this.args, ...words], {
      encoding: "utf8",
      env,
    });
    return { status, text: `${stdout}${stderr}` };
  }

  /** By service: the container, its image and its exit code. */
  containers() {
    const ids = docker(["ps", "-aq", "--filter", `label=com.docker.compose.project=${this.name}`]);
    return (ids === "" ? [] : ids.split("\n")).map((id) => {
      const words = inspect(
        id,
        '{{index .Config.Labels "com.docker.compose.service"}} {{.Config.Image}} {{.State.ExitCode}}',
      );
      const [service, image, exitCode] = words.split(" ");
      return { service, image, exitCode: Number(exitCode) };
    });
  }
}

const isTaken = (port) =>
  new Promise((resolve) => {
    const probe = connect(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false));
    probe.on("connect", () => probe.destroy());
  });

/** mqadmin in a container on the project's network: ours to ask often, Apache's to be believed. */
function mqadmin(network, image, words) {
  const command = image === OURS ? ["mqadmin", ...words] : ["sh", "mqadmin", ...words];
  const { status, stdout, stderr } = spawnSync("docker", ["run", "--rm", ...network.flags, image, ...command], {
    encoding: "utf8",
  });
  return status === 0 ? stdout : `${stdout}${stderr}`;
}

/** `name id` of each line of clusterList. */
const listed = (text) =>
  [...text.matchAll(/^DefaultCluster\s+(\S+)\s+(\d+)\s/gm)].map(([, name, id]) => `${name} ${id}`);
const same = (left, right) => left.toSorted().join() === right.toSorted().join();

async function run(file, { brokers, masters, published, ...where }, client) {
  for (const port of published) {
    if (await isTaken(port)) return check(`${file}: port ${port} is free`, false, "this machine uses it");
  }
  const project = new Project(file);
  const { status, text } = project.compose(["up", "-d"]);
  if (!check(`${file}: up`, status === 0, status === 0 ? "" : text)) return;
  const network = new Network(project.name, where.network ?? `${project.name}_default`);
  const namesrvAddr = `${where.namesrv}:9876`;
  const n = ["-n", namesrvAddr];
  const seen = await until(
    () => listed(mqadmin(network, OURS, ["clusterList", ...n])),
    (rows) => same(rows, brokers),
  );
  check(`${file}: every broker is there`, same(seen, brokers), seen.join(", "));
  const official = mqadmin(network, BASES.apache, ["clusterList", ...n]);
  check(
    `${file}: the official mqadmin sees them, too`,
    same(listed(official), brokers),
    same(listed(official), brokers) ? "" : official,
  );

  // The master that the scenarios find first, in the order of a Java hash table.
  const [, brokerAddr] =
    new RegExp(`^DefaultCluster\\s+${masters.at(-1) ?? "broker-a"}\\s+0\\s+(\\S+)`, "m").exec(official) ?? [];
  await useIt(file, client, network, { namesrvAddr, brokerAddr });
  for (const master of masters) await slaveServes(`${file}: ${master}`, project, network, n, master);

  project.compose(["stop", "-t", `${STOP_SECONDS}`]);
  for (const { service, image, exitCode } of project.containers()) {
    // Apache's servers under a shell, or by themselves, end with the signal's number.
    const ok = image === OURS ? exitCode === 0 : [0, 143].includes(exitCode);
    check(`${file}: ${service} ends in order`, ok, `status ${exitCode}`);
  }
  const down = project.compose(["down", "-v"]);
  check(`${file}: down`, down.status === 0 && project.containers().length === 0, down.status === 0 ? "" : down.text);
}

async function useIt(file, client, network, server) {
  const results = await runClient({
    client: { ...contained(client, network), id: client.id },
    parts: [{ names: SCENARIOS, server }],
    parallel: SCENARIOS.length,
    runId: `${Date.now().toString(36).slice(-6)}`,
    home: join(logDir, file),
    logDir,
  });
  for (const [name, [{ ok, detail }]] of results) check(`${file}: Java ${name}`, ok, ok ? "" : detail);
}

/** What a master has acknowledged is read from its slave once the master has stopped, and the master comes back. */
async function slaveServes(title, project, network, n, master) {
  const topic = `kept-${master}`;
  const key = `key-of-${master}`;
  mqadmin(network, OURS, ["updateTopic", ...n, "-c", "DefaultCluster", "-t", topic, "-r", "1", "-w", "1"]);
  const at = ["-b", master, "-i", "0", "-k", key];
  const sent = await until(
    () => mqadmin(network, OURS, ["sendMessage", ...n, "-t", topic, ...at, "-p", `body-of-${master}`]),
    (text) => text.includes("SEND_OK"),
  );
  check(`${title} takes a message`, sent.includes("SEND_OK"), sent.includes("SEND_OK") ? "" : sent);
  const slave = `${master}-slave:10911`;
  const holds = await until(
    () => mqadmin(network, OURS, ["brokerStatus", "-b", slave]),
    (text) => /^commitLogMaxOffset\s*:\s*[1-9]/m.test(text),
  );
  check(`${title} is copied by its slave`, /^commitLogMaxOffset\s*:\s*[1-9]/m.test(holds));
  project.compose(["stop", "-t", `${STOP_SECONDS}`, master]);
  const gone = await until(
    () => listed(mqadmin(network, OURS, ["clusterList", ...n])),
    (rows) => !rows.includes(`${master} 0`),
  );
  check(`${title} stops`, !gone.includes(`${master} 0`), gone.join(", "));
  // A query goes to a slave where there is no master: id, queue and offset of the message.
  const query = ["queryMsgByKey", ...n, "-t", topic, "-k", key];
  const row = /^[0-9A-F]{32}\s+0\s+0\s/m;
  await until(
    () => mqadmin(network, OURS, query),
    (text) => row.test(text),
  );
  const read = mqadmin(network, BASES.apache, query);
  check(`${title} is stopped, its slave has the message`, row.test(read), row.test(read) ? "" : read);
  project.compose(["start", master]);
  const back = await until(
    () => listed(mqadmin(network, OURS, ["clusterList", ...n])),
    (rows) => rows.includes(`${master} 0`),
  );
  check(`${title} comes back`, back.includes(`${master} 0`), back.join(", "));
}

const missing = engineMissing() ?? (program === undefined ? "neither docker compose nor docker-compose" : undefined);
if (missing !== undefined) {
  console.log(`!!! SKIPPED compose: ${missing}`);
  process.exit(0);
}
const client = { id: "java-5.5.0", ...javaClient("5.5.0") };
for (const image of [OURS, BASES.apache]) {
  if (!hasImage(image)) check(`${image} is there`, false, "build it, or make it with make-bases.mjs");
}
for (const [file, cluster] of Object.entries(CLUSTERS)) {
  if (options.file === undefined || options.file.includes(file))
    await checks.trying(file, () => run(file, cluster, client));
}
process.exit(checks.end("compose"));
