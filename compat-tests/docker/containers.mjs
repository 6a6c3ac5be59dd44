// Containers of one run: a bridge network with addresses that are known beforehand, servers and clients on it, and the promise that nothing of
// them is left behind.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, own } from "../lib/child.mjs";
import { brokerProperties, writeProperties } from "../lib/config.mjs";
import { BASES, docker, OURS } from "./engine.mjs";
import { READY } from "./observe.mjs";

const COMPAT = fileURLToPath(new URL("..", import.meta.url));
const START_LIMIT_MS = 300_000;
const NAMESRV_PORT = 9876;
const BROKER_PORT = 10_911;
const GRPC_PORT = 8081;
/** Third octets of the subnets that are tried, from here on. */
const SUBNETS = { prefix: "172.30", from: 40, count: 60 };

/** A bridge network, and what runs on it. */
export class Network {
  #names = 0;

  /** @param {string} runId @param {string} [given] a network that somebody else made and will remove. */
  constructor(runId, given) {
    this.name = `skylark-compat-${runId}`;
    this.label = `skylark.compat=${runId}`;
    this.network = given ?? this.name;
    /** Of `docker run`. */
    this.flags = ["--label", this.label, "--network", this.network];
    process.on("exit", () => this.remove());
    if (given !== undefined) return;
    for (let i = 0; i < SUBNETS.count; i++) {
      this.prefix = `${SUBNETS.prefix}.${SUBNETS.from + i}`;
      const args = ["network", "create", "--subnet", `${this.prefix}.0/24`, "--label", this.label, this.name];
      const { status, stderr } = spawnSync("docker", args, { encoding: "utf8" });
      if (status === 0) break;
      if (!/overlap/.test(stderr) || i === SUBNETS.count - 1) throw new Error(`no network: ${stderr.trim()}`);
    }
  }

  /** The arguments of `docker` that run something in the foreground; its output and its end are the container's. */
  run({ image, command, ip, mounts = {}, env = {}, flags = [] }) {
    const name = `${this.name}-${this.#names++}`;
    const args = ["run", "--rm", "-i", "--name", name, ...this.flags, ...flags];
    if (ip !== undefined) args.push("--ip", ip);
    for (const [from, to] of Object.entries(mounts)) args.push("-v", `${from}:${to}`);
    for (const [key, value] of Object.entries(env)) args.push("-e", `${key}=${value}`);
    return { name, args: [...args, image, ...command] };
  }

  /** Everything that has its label, too. */
  remove() {
    const filter = ["-q", "--filter", `label=${this.label}`];
    const all = (list, remove) => {
      const ids = spawnSync("docker", [...list, ...filter], { encoding: "utf8" }).stdout?.trim() ?? "";
      if (ids !== "") spawnSync("docker", [...remove, ...ids.split("\n")], { stdio: "ignore" });
    };
    all(["ps", "-a"], ["rm", "-f", "-v"]);
    all(["volume", "ls"], ["volume", "rm"]);
    if (this.network === this.name) spawnSync("docker", ["network", "rm", this.name], { stdio: "ignore" });
  }
}

/** One server kind: Skylark in one container, or Apache's NameServer and its proxy with a broker inside in two. */
export class Servers {
  #children = [];

  /** @param {{ kind: "apache" | "skylark", network: Network, dir: string, logDir: string, settings: Record<string, unknown> }} options */
  constructor({ kind, network, dir, logDir, settings }) {
    Object.assign(this, { kind, network, dir, logDir, settings });
    const [names, broker] = kind === "skylark" ? [10, 10] : [20, 21];
    this.namesrvHost = `${network.prefix}.${names}`;
    this.brokerHost = `${network.prefix}.${broker}`;
    this.namesrvAddr = `${this.namesrvHost}:${NAMESRV_PORT}`;
    this.brokerAddr = `${this.brokerHost}:${BROKER_PORT}`;
    this.endpoints = `${this.brokerHost}:${GRPC_PORT}`;
    this.remoting = { host: this.brokerHost, port: BROKER_PORT };
  }

  async start() {
    mkdirSync(this.dir, { recursive: true });
    const { namesrvAddr, brokerHost } = this;
    const settings = { ...this.settings, brokerIP1: brokerHost, brokerIP2: brokerHost };
    writeProperties(
      join(this.dir, "broker.conf"),
      brokerProperties({ brokerPort: BROKER_PORT, namesrvAddr, store: "/home/rocketmq/store", settings }),
    );
    const proxy = {
      rocketMQClusterName: "DefaultCluster",
      proxyClusterName: "DefaultCluster",
      namesrvAddr,
      grpcServerPort: GRPC_PORT,
    };
    writeFileSync(join(this.dir, "rmq-proxy.json"), JSON.stringify(proxy));
    if (this.kind === "skylark") {
      await this.#container("server", OURS, ["start", "-c", "/conf/broker.conf"], brokerHost, READY.broker);
      return;
    }
    await this.#container("namesrv", BASES.apache, ["sh", "mqnamesrv"], this.namesrvHost, READY.namesrv);
    const files = ["-pc", "/conf/rmq-proxy.json", "-bc", "/conf/broker.conf"];
    const command = ["sh", "mqproxy", ...files, "-pm", "local", "-n", namesrvAddr];
    await this.#container("proxy", BASES.apache, command, brokerHost, READY.proxy);
  }

  async #container(role, image, command, ip, ready) {
    const env =
      image === BASES.apache
        ? { JAVA_OPT_EXT: "-Xms128m -Xmx512m -Xmn128m", RMQ_PROXY_HOME: "/home/rocketmq/rocketmq-5.5.0" }
        : {};
    const { args } = this.network.run({ image, command, ip, env, mounts: { [this.dir]: "/conf:ro" } });
    const child = own(
      new Child(`${this.kind} ${role}`, "docker", args, { log: join(this.logDir, `${this.kind}-${role}.log`) }),
    );
    this.#children.unshift(child);
    await child.line(ready, START_LIMIT_MS);
  }

  /** @returns {Promise<string | undefined>} what was wrong with the stop. */
  async stop() {
    const bad = [];
    for (const child of this.#children) {
      const { code, killed } = await child.terminate();
      if (killed) bad.push(`${child.name} did not stop`);
      else if (this.kind === "skylark" && code !== 0) bad.push(`${child.name} ended with ${code}`);
    }
    return bad.length === 0 ? undefined : bad.join(", ");
  }
}

/**
 * A client that was built on this machine, each run in a container of its own: the same command line, its files where they are here, in the image
 * of its language.
 * @param {{ command: string, args: ((home: string) => string[]) | string[], env?: any }} client
 */
export function contained(client, network) {
  const argsOf = (home) => (typeof client.args === "function" ? client.args(home) : client.args);
  const envOf = (home) => (typeof client.env === "function" ? client.env(home) : (client.env ?? {}));
  return {
    ...client,
    command: "docker",
    args: (home) => {
      const { image, program, env } = languageOf(client.command);
      const written = { ...envOf(home), ...env };
      // Where it may write: the directory of this run, and its home, if it has one.
      const mounts = { [COMPAT]: `${COMPAT}:ro`, [home]: home };
      for (const path of [written.HOME, userHome(argsOf(home))]) {
        if (path === undefined) continue;
        mkdirSync(path, { recursive: true });
        mounts[path] = path;
      }
      const flags = ["--user", `${process.getuid()}:${process.getgid()}`, "--workdir", home];
      return network.run({ image, command: [program, ...argsOf(home)], mounts, env: written, flags }).args;
    },
    env: undefined,
  };
}

const userHome = (args) => args.find((arg) => arg.startsWith("-Duser.home="))?.slice("-Duser.home=".length);

/** The image in which a command of this machine runs, and what it is called there. */
function languageOf(command) {
  if (command === "java") return { image: BASES.java, program: "java", env: {} };
  if (command === process.execPath) return { image: BASES.node, program: "node", env: {} };
  if (command.endsWith("/env/bin/python")) {
    const packages = join(command, "..", "..", "lib", "python3.11", "site-packages");
    return { image: BASES.python, program: "python3", env: { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1" } };
  }
  return { image: BASES.debian, program: command, env: {} };
}

/** Runs a command in a container and returns what it said; used for tools that end by themselves. */
export function once(network, image, command) {
  const { args } = network.run({ image, command });
  const { status, stdout, stderr } = spawnSync("docker", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return { status, stdout, stderr };
}

/** An image that is here, or can be had. @returns {string | undefined} why not. */
export function obtain(image) {
  if (spawnSync("docker", ["image", "inspect", image], { stdio: "ignore" }).status === 0) return undefined;
  try {
    docker(["pull", "-q", image]);
    return undefined;
  } catch {
    return `no image ${image}, and no registry has it: run compat-tests/docker/make-bases.mjs`;
  }
}
