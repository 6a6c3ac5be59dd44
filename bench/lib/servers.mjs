// The two servers under test: how each is started on a fresh store, and stopped. Neither is pinned to cores nor tuned:
// default configuration, and for Apache a 2 GiB broker heap.
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { apacheClassPath } from "./apache.mjs";
import { Child } from "./child.mjs";
import { residentMb } from "./proc.mjs";

const ROOT = path.resolve(import.meta.dirname, "..", "..");
const READY = /boot success/;
const START_TIMEOUT_MS = 120_000;

function properties(values) {
  return `${Object.entries(values)
    .map(([key, value]) => `${key}=${value}`)
    .join("\n")}\n`;
}

/** A server that is up. `pids`: NameServer and broker, one process or two. */
class Running {
  constructor({ directory, namesrvPort, brokerPort, children, startMs }) {
    Object.assign(this, { directory, namesrvPort, brokerPort, children, startMs });
    this.pids = children.map((child) => child.pid);
    this.namesrvAddr = `127.0.0.1:${namesrvPort}`;
  }

  memory() {
    return residentMb(this.pids);
  }

  /** Broker first, so that it can unregister. */
  async stop() {
    for (const child of [...this.children].reverse()) await child.stop();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

async function startSkylark({ directory, namesrvPort, brokerPort, config }) {
  const file = path.join(directory, "broker.conf");
  fs.writeFileSync(file, properties({ brokerName: "broker-a", ...config }));
  const args = [path.join(ROOT, "bin", "skylark"), "start", "--store", path.join(directory, "store"), "-c", file];
  args.push("--namesrv-port", String(namesrvPort), "--listen-port", String(brokerPort), "--bind", "127.0.0.1");
  const beganAt = performance.now();
  const child = new Child("skylark", process.execPath, args);
  await child.line(/The broker.* boot success/, START_TIMEOUT_MS);
  return { children: [child], startMs: performance.now() - beganAt };
}

async function startApache({ directory, namesrvPort, brokerPort, config }) {
  const store = path.join(directory, "store");
  const namesrvFile = path.join(directory, "namesrv.conf");
  const brokerFile = path.join(directory, "broker.conf");
  fs.mkdirSync(path.join(directory, "conf"));
  fs.writeFileSync(namesrvFile, properties({ listenPort: namesrvPort, bindAddress: "127.0.0.1" }));
  fs.writeFileSync(
    brokerFile,
    properties({
      brokerName: "broker-a",
      brokerIP1: "127.0.0.1",
      bindAddress: "127.0.0.1",
      listenPort: brokerPort,
      namesrvAddr: `127.0.0.1:${namesrvPort}`,
      storePathRootDir: store,
      storePathCommitLog: path.join(store, "commitlog"),
      ...config,
    }),
  );
  const env = { ...process.env, ROCKETMQ_HOME: directory };
  const classPath = apacheClassPath();
  const start = async (name, heap, main, file) => {
    const args = [...heap, `-Duser.home=${directory}`, "-cp", classPath, main, "-c", file];
    const child = new Child(name, "java", args, { env });
    await child.line(READY, START_TIMEOUT_MS);
    return child;
  };
  const beganAt = performance.now();
  const namesrv = await start(
    "apache namesrv",
    ["-Xms256m", "-Xmx256m"],
    "org.apache.rocketmq.namesrv.NamesrvStartup",
    namesrvFile,
  );
  const broker = await start(
    "apache broker",
    ["-Xms2g", "-Xmx2g"],
    "org.apache.rocketmq.broker.BrokerStartup",
    brokerFile,
  );
  return { children: [namesrv, broker], startMs: performance.now() - beganAt };
}

const STARTERS = { skylark: startSkylark, apache: startApache };

export const SERVERS = Object.keys(STARTERS);

/** Starts `server` on an empty store under `workDirectory`; ports are portBase and portBase + 10, and those Apache derives from them. */
export async function startServer(server, { workDirectory, portBase, config }) {
  const directory = path.join(workDirectory, server);
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  const place = { directory, namesrvPort: portBase, brokerPort: portBase + 10 };
  const started = await STARTERS[server]({ ...place, config });
  const running = new Running({ ...place, ...started });
  // Both have work left after the ready line (class loading, first registration); none of it belongs into a measurement.
  await sleep(3000);
  return running;
}
