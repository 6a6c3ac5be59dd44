// Apache's Controllers as JVMs, and the question who is master, asked as brokers ask it.

import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Child, own } from "./child.mjs";
import { writeProperties } from "./config.mjs";

const READY = /^The Controller Server boot success/;
const START_LIMIT_MS = 120_000;
const GET_METADATA_INFO = 1005;
const GET_REPLICA_INFO = 1004;

/** A group of Apache's Controllers (DLedger, as they come) on loopback. */
export class Controllers {
  #children = new Map();

  /** @param {{ dir: string, lib: string, ports: number[] }} options one Controller per port */
  constructor({ dir, lib, ports }) {
    this.dir = dir;
    this.lib = lib;
    this.ports = ports;
  }

  /** What brokers take as controllerAddr. */
  get addresses() {
    return this.ports.map((port) => `127.0.0.1:${port}`).join(";");
  }

  async start() {
    await Promise.all(this.ports.map((_, i) => this.startOne(i)));
  }

  async startOne(i) {
    const home = join(this.dir, `controller-${i}`);
    mkdirSync(join(home, "conf"), { recursive: true });
    const file = join(home, "controller.conf");
    writeProperties(file, {
      controllerDLegerGroup: "group1",
      controllerDLegerPeers: this.ports.map((port, n) => `n${n}-127.0.0.1:${port}`).join(";"),
      controllerDLegerSelfId: `n${i}`,
      controllerStorePath: join(home, "store"),
      mappedFileSize: 16 * 1024 * 1024,
      scanNotActiveBrokerInterval: 1_000,
    });
    const flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xms32m", "-Xmx160m", `-Duser.home=${home}`];
    flags.push(`-Drocketmq.home.dir=${home}`, "-cp", join(this.lib, "*"));
    const args = [...flags, "org.apache.rocketmq.controller.ControllerStartup", "-c", file];
    const child = own(
      new Child(`Controller ${i}`, "java", args, {
        log: join(this.dir, `controller-${i}.log`),
        env: { ROCKETMQ_HOME: home },
      }),
    );
    this.#children.set(i, child);
    await child.line(READY, START_LIMIT_MS);
  }

  async kill(i) {
    await this.#children.get(i)?.kill9();
    this.#children.delete(i);
  }

  async kill9() {
    await Promise.all([...this.#children.keys()].map((i) => this.kill(i)));
  }

  /** Index of the leader; undefined while there is none. */
  async leader() {
    for (const [i] of this.#children) {
      const answer = await ask(this.ports[i], GET_METADATA_INFO, {}).catch(() => undefined);
      const address = answer?.header.extFields?.controllerLeaderAddress;
      if (address) return this.ports.indexOf(Number(address.split(":").at(-1)));
    }
    return undefined;
  }

  /** @returns {Promise<{ masterId?: number, masterAddress?: string, epoch: number, set: number[] } | undefined>} */
  async replicas(brokerName) {
    const leader = await this.leader();
    if (leader === undefined || leader < 0) return undefined;
    const answer = await ask(this.ports[leader], GET_REPLICA_INFO, { brokerName }).catch(() => undefined);
    if (answer?.header.code !== 0) return undefined;
    const fields = answer.header.extFields ?? {};
    return {
      masterId: fields.masterBrokerId === undefined ? undefined : Number(fields.masterBrokerId),
      masterAddress: fields.masterAddress,
      epoch: Number(fields.masterEpoch),
      set: JSON.parse(answer.body).syncStateSet ?? [],
    };
  }
}

/** One request of the remoting protocol on a connection of its own. */
function ask(port, code, extFields) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, timeout: 3_000 });
    let got = Buffer.alloc(0);
    socket.on("error", reject);
    socket.on("timeout", () => socket.destroy(new Error("no answer")));
    socket.on("close", () => reject(new Error("closed")));
    socket.on("connect", () => {
      const header = Buffer.from(
        JSON.stringify({
          code,
          language: "JAVA",
          version: 515,
          opaque: 1,
          flag: 0,
          extFields,
          serializeTypeCurrentRPC: "JSON",
        }),
      );
      const frame = Buffer.alloc(8);
      frame.writeInt32BE(4 + header.length, 0);
      frame.writeInt32BE(header.length, 4);
      socket.write(Buffer.concat([frame, header]));
    });
    socket.on("data", (bytes) => {
      got = Buffer.concat([got, bytes]);
      if (got.length < 8 || got.length < 4 + got.readInt32BE(0)) return;
      const headerBytes = got.readInt32BE(4) & 0xffffff;
      resolve({
        header: JSON.parse(got.toString("utf8", 8, 8 + headerBytes)),
        body: got.toString("utf8", 8 + headerBytes, 4 + got.readInt32BE(0)),
      });
      socket.destroy();
    });
  });
}
