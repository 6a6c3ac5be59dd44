// Skylark: all roles in one process ("one", the default), or NameServer and broker as separate processes ("split") where a scenario stops
// one of the two.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, own } from "./child.mjs";
import { brokerProperties, writeProperties } from "./config.mjs";

/** The built checkout under test: this one, unless SKYLARK_ROOT names another. */
const BIN = join(process.env.SKYLARK_ROOT ?? fileURLToPath(new URL("../../", import.meta.url)), "bin");
const READY_NAMESRV = /^The Name Server boot success/;
const READY_BROKER = /^The broker\[.*\] boot success/;
export const START_LIMIT_MS = 120_000;

export class SkylarkServer {
  kind = "skylark";
  #namesrv;
  #broker;

  /**
   * @param {{ dir: string, namesrvPort: number, brokerPort: number, settings?: Record<string, unknown>, store?: string, layout?: "one" | "split", properties?: Record<string, string> }} options
   *   `properties` are handed over as Apache's scripts take them, in JAVA_OPT.
   */
  constructor({ dir, namesrvPort, brokerPort, settings = {}, store, layout = "one", properties = {} }) {
    this.dir = dir;
    this.namesrvPort = namesrvPort;
    this.brokerPort = brokerPort;
    this.settings = settings;
    this.store = store ?? join(dir, "store");
    this.layout = layout;
    this.flags = Object.entries(properties).map(([key, value]) => `"-D${key}=${value}"`);
  }

  get namesrvAddr() {
    return `127.0.0.1:${this.namesrvPort}`;
  }

  get brokerAddr() {
    return `127.0.0.1:${this.brokerPort}`;
  }

  /** Processes that run now. */
  get pids() {
    return [this.#namesrv, this.#broker].flatMap((child) => (child ? [child.pid] : []));
  }

  async start() {
    if (this.layout === "split") await this.startNamesrv();
    await this.startBroker();
  }

  async startNamesrv() {
    if (this.layout === "one") throw new Error("the NameServer is not a process of its own in this layout");
    const home = join(this.dir, "namesrv-home");
    mkdirSync(home, { recursive: true });
    const file = join(home, "namesrv.conf");
    writeProperties(file, { listenPort: this.namesrvPort, bindAddress: "127.0.0.1", rocketmqHome: home });
    this.#namesrv = this.#node("namesrv", "mqnamesrv", ["-c", file], home);
    await this.#namesrv.line(READY_NAMESRV, START_LIMIT_MS);
  }

  async startBroker() {
    mkdirSync(this.store, { recursive: true });
    const file = join(this.dir, "broker.conf");
    const settings = { bindAddress: "127.0.0.1", ...this.settings };
    writeProperties(
      file,
      brokerProperties({ brokerPort: this.brokerPort, namesrvAddr: this.namesrvAddr, store: this.store, settings }),
    );
    if (this.layout === "split") {
      this.#broker = this.#node("broker", "mqbroker", ["-n", this.namesrvAddr, "-c", file], this.dir);
    } else {
      const ports = ["--namesrv-port", `${this.namesrvPort}`, "--listen-port", `${this.brokerPort}`];
      const args = ["start", "--store", this.store, ...ports, "--bind", "127.0.0.1", "-c", file];
      this.#broker = this.#node("server", "skylark", args, this.dir);
      await this.#broker.line(READY_NAMESRV, START_LIMIT_MS);
    }
    await this.#broker.line(READY_BROKER, START_LIMIT_MS);
  }

  #node(role, command, args, home) {
    return own(
      new Child(`Skylark ${role}`, process.execPath, [join(BIN, command), ...args], {
        log: join(this.dir, `${role}.log`),
        // A NameServer of its own keeps its key-value table in the user's home.
        env: { ROCKETMQ_HOME: home, HOME: home, JAVA_OPT: this.flags.join(" ") },
      }),
    );
  }

  async stopBroker() {
    const result = await this.#broker.terminate();
    this.#broker = undefined;
    return result;
  }

  /** Stops the broker's process where it stands, or lets it go on. */
  freeze(frozen) {
    process.kill(this.#broker.pid, frozen ? "SIGSTOP" : "SIGCONT");
  }

  async killBroker() {
    await this.#broker.kill9();
    this.#broker = undefined;
  }

  async stopNamesrv() {
    if (this.layout === "one") throw new Error("the NameServer is not a process of its own in this layout");
    const result = await this.#namesrv.terminate();
    this.#namesrv = undefined;
    return result;
  }

  async restartBroker() {
    await this.stopBroker();
    await this.startBroker();
  }

  /** @returns {Promise<{ code: number | null, signal: string | null, killed: boolean }[]>} how each process ended. */
  async stopGracefully() {
    const ends = [];
    if (this.#broker) ends.push(await this.stopBroker());
    if (this.#namesrv) ends.push(await this.stopNamesrv());
    return ends;
  }

  async kill9() {
    if (this.#broker) await this.killBroker();
    if (this.#namesrv) await this.#namesrv.kill9();
    this.#namesrv = undefined;
  }
}
