// The server under test: Skylark in one process, or Apache as two JVMs. Always the same ports and store across starts.

import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ApacheServer } from "../../lib/apache.mjs";
import { apacheLib } from "../../lib/build.mjs";
import { Child, own } from "../../lib/child.mjs";
import { writeProperties } from "../../lib/config.mjs";

/** SKYLARK_APP names another installation of the package than this repository. */
const APP = process.env.SKYLARK_APP ?? fileURLToPath(new URL("../../../", import.meta.url));
const READY = /^The broker\[.*\] boot success/;
const READY_LIMIT_MS = 60_000;

export class Skylark {
  kind = "skylark";
  #child;

  /**
   * @param {{ dir: string, namesrvPort: number, brokerPort: number, settings?: Record<string, unknown>, store?: string,
   *   wrap?: string[], env?: Record<string, string> }} options
   *   `wrap` is a command in front of node, such as strace and its options.
   */
  constructor({ dir, namesrvPort, brokerPort, settings = {}, store, wrap = [], env = {} }) {
    Object.assign(this, { dir, namesrvPort, brokerPort, settings, wrap, env });
    this.store = store ?? join(dir, "store");
    this.log = join(dir, "server.log");
    mkdirSync(dir, { recursive: true });
  }

  /** Starts it without waiting for anything. */
  spawn() {
    mkdirSync(this.store, { recursive: true });
    const conf = join(this.dir, "broker.conf");
    writeProperties(conf, { brokerIP1: "127.0.0.1", ...this.settings });
    const args = [
      join(APP, "bin", "skylark"),
      "start",
      "--store",
      this.store,
      "--namesrv-port",
      `${this.namesrvPort}`,
      "--listen-port",
      `${this.brokerPort}`,
      "--bind",
      "127.0.0.1",
      "-c",
      conf,
    ];
    const [command, ...rest] = [...this.wrap, process.execPath, ...args];
    this.#child = own(new Child("Skylark", command, rest, { log: this.log, env: { ...this.env } }));
    return this.#child;
  }

  /** @returns {Promise<number>} ms until it said that it is ready */
  async start() {
    const began = performance.now();
    await this.spawn().line(READY, READY_LIMIT_MS);
    return performance.now() - began;
  }

  get pid() {
    return this.#child.pid;
  }

  get exited() {
    return this.#child.exited;
  }

  async kill9() {
    await this.#child.kill9();
  }

  /** SIGTERM; resolves with the exit code, null when it had to be killed. */
  async stop() {
    const { code, killed } = await this.#child.terminate(30_000);
    if (killed) appendFileSync(this.log, "did not stop within 30 s, killed\n");
    return killed ? null : code;
  }

  async end() {
    if (this.#child !== undefined) await this.#child.kill9();
  }
}

export class Apache {
  kind = "apache";
  #server;
  #namesrvRuns = false;

  constructor({ dir, namesrvPort, brokerPort, settings = {} }) {
    this.#server = new ApacheServer({ dir, lib: apacheLib(), namesrvPort, brokerPort, settings });
    this.dir = dir;
  }

  async start() {
    if (!this.#namesrvRuns) await this.#server.startNamesrv();
    this.#namesrvRuns = true;
    const began = performance.now();
    await this.#server.startBroker();
    return performance.now() - began;
  }

  async kill9() {
    await this.#server.killBroker();
  }

  async stop() {
    const { code, killed } = await this.#server.stopBroker();
    // A JVM ended by SIGTERM reports 143 after an orderly stop.
    return killed ? null : code === 143 ? 0 : code;
  }

  async end() {
    await this.#server.kill9();
  }
}

export function serverOf(kind, options) {
  return kind === "apache" ? new Apache(options) : new Skylark(options);
}
