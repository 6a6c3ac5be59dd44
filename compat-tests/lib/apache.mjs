// Apache RocketMQ 5.5.0 as two JVMs, NameServer and broker, with small heaps.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Child, own } from "./child.mjs";
import { brokerProperties, writeProperties } from "./config.mjs";

const READY_NAMESRV = /^The Name Server boot success/;
const READY_BROKER = /^The broker\[.*\] boot success/;
const START_LIMIT_MS = 300_000;

export class ApacheServer {
  kind = "apache";
  #namesrv;
  #broker;

  /**
   * @param {{ dir: string, lib: string, namesrvPort: number, brokerPort: number, settings?: Record<string, unknown>, store?: string, properties?: Record<string, string> }} options
   *   `dir` holds configuration and logs; the store is `dir`/store unless given; `lib` holds the jars; `properties` are
   *   Java's (-Dkey=value).
   */
  constructor({ dir, lib, namesrvPort, brokerPort, settings = {}, store, properties = {} }) {
    this.dir = dir;
    this.lib = lib;
    this.namesrvPort = namesrvPort;
    this.brokerPort = brokerPort;
    this.settings = settings;
    this.properties = properties;
    this.store = store ?? join(dir, "store");
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
    await this.startNamesrv();
    await this.startBroker();
  }

  async startNamesrv() {
    const home = join(this.dir, "namesrv-home");
    mkdirSync(join(home, "conf"), { recursive: true });
    const file = join(home, "conf", "namesrv.conf");
    writeProperties(file, { listenPort: this.namesrvPort, bindAddress: "127.0.0.1", rocketmqHome: home });
    this.#namesrv = this.#jvm("namesrv", "org.apache.rocketmq.namesrv.NamesrvStartup", home, ["-c", file], 128);
    await this.#namesrv.line(READY_NAMESRV, START_LIMIT_MS);
  }

  async startBroker() {
    const home = join(this.dir, "broker-home");
    mkdirSync(join(home, "conf"), { recursive: true });
    mkdirSync(this.store, { recursive: true });
    const file = join(home, "conf", "broker.conf");
    writeProperties(
      file,
      brokerProperties({
        brokerPort: this.brokerPort,
        namesrvAddr: this.namesrvAddr,
        store: this.store,
        settings: { bindAddress: "127.0.0.1", ...this.settings },
      }),
    );
    this.#broker = this.#jvm("broker", "org.apache.rocketmq.broker.BrokerStartup", home, ["-c", file], 512);
    await this.#broker.line(READY_BROKER, START_LIMIT_MS);
  }

  #jvm(role, mainClass, home, args, heapMiB) {
    const flags = [
      "-XX:+UseSerialGC",
      // These JVMs live for a minute or two: the second compiler would cost the two cores more than it gives.
      "-XX:TieredStopAtLevel=1",
      "-Xms64m",
      `-Xmx${heapMiB}m`,
      "-XX:MaxDirectMemorySize=512m",
      "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
      `-Duser.home=${home}`,
      `-Drocketmq.home.dir=${home}`,
      ...Object.entries(this.properties).map(([key, value]) => `-D${key}=${value}`),
      "-cp",
      join(this.lib, "*"),
    ];
    return own(
      new Child(`Apache ${role}`, "java", [...flags, mainClass, ...args], {
        log: join(this.dir, `${role}.log`),
        env: { ROCKETMQ_HOME: home },
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
