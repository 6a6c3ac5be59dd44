// Official clients of a cluster with several brokers (mixed/Cluster.java): one producer and one group at a time, and mqadmin.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, own } from "./child.mjs";

const SOURCE = fileURLToPath(new URL("../mixed/Cluster.java", import.meta.url));
/** Of one step, on a machine that does much else. */
const LIMIT_MS = 180_000;

/** A JVM that runs the source file; it says its result as one line of JSON. */
class ClusterClient {
  #child;
  #result;

  constructor(name, { dir, lib }, words) {
    const flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true"];
    flags.push(`-Duser.home=${dir}`, "-Drocketmq.client.logLevel=WARN", "-cp", join(lib, "*"));
    this.#child = own(
      new Child(name, "java", [...flags, SOURCE, ...words.map(String)], {
        log: join(dir, `${name}.log`),
        env: { ROCKETMQ_HOME: dir },
      }),
    );
    this.#result = this.#child.line(/^\{/, 3 * LIMIT_MS);
    this.#result.catch(() => {});
  }

  line(pattern) {
    return this.#child.line(pattern, LIMIT_MS);
  }

  onLine(watcher) {
    return this.#child.onLine(watcher);
  }

  write(text) {
    this.#child.write(text);
  }

  async result() {
    const answer = JSON.parse(await this.#result);
    await this.#child.exited;
    if (answer.error !== undefined) throw new Error(`the Java client: ${answer.error}`);
    return answer;
  }
}

/** Sends and consumes until it is told to stop. */
export class Traffic {
  #client;
  /** Messages that were answered SEND_OK, by broker name. */
  acked = {};
  /** What took too long, in the client's words. */
  late = [];

  /** @param {{ dir: string, lib: string, namesrvAddr: string, topic: string, group: string, members: number, queues: number }} options */
  constructor({ namesrvAddr, topic, group, members, queues, ...place }) {
    this.#client = new ClusterClient("traffic", place, ["traffic", namesrvAddr, topic, group, members, queues]);
    this.#client.onLine((line) => {
      if (line.startsWith("late: ")) this.late.push(line.slice("late: ".length));
      if (!line.startsWith("acked ")) return;
      const counts = line.slice("acked ".length).split(" ");
      this.acked = Object.fromEntries(counts.map((count) => count.split("=")).map(([name, n]) => [name, Number(n)]));
    });
  }

  /** Every queue has its consumer. */
  ready() {
    return this.#client.line(/^ready$/);
  }

  /** Waits until each of these brokers has answered so many more messages. */
  async more(count, brokers) {
    const before = { ...this.acked };
    const deadline = Date.now() + LIMIT_MS;
    while (brokers.some((name) => (this.acked[name] ?? 0) - (before[name] ?? 0) < count)) {
      if (Date.now() > deadline) {
        throw new Error(`no ${count} more messages on ${brokers.join(", ")}: ${JSON.stringify(this.acked)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** @returns {Promise<{ acked: Record<string, number>, statuses: Record<string, number>, sent: number, consumed: number, missing: number, unknown: number, again: number }>} */
  async finish() {
    this.#client.write("stop\n");
    const result = await this.#client.result();
    if (this.late.length > 0) throw new Error(`not in time: ${this.late.join("; ")}: ${JSON.stringify(result)}`);
    return result;
  }
}

/** The outputs of these commands of the official mqadmin, one after the other in one JVM. */
export async function mqadmin(place, commands) {
  const { outputs } = await new ClusterClient("mqadmin", place, ["admin", ...commands]).result();
  return outputs;
}
