// The servers of the 5.x benchmark, each on a fresh store with its default configuration: Skylark in one process, Apache's proxy with the broker in
// one JVM (local mode), and Apache's proxy in front of a broker (cluster mode). Heaps: 2 GiB for a broker or proxy, 256 MiB for the NameServer.
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { apacheClassPath } from "./apache.mjs";
import { Child } from "./child.mjs";
import { residentMb } from "./proc.mjs";

const ROOT = path.resolve(import.meta.dirname, "..", "..");
const START_TIMEOUT_MS = 180_000;
const HEAP = ["-Xms2g", "-Xmx2g"];
const OPENED = ["--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED"];

function writeProperties(file, values) {
  fs.writeFileSync(
    file,
    `${Object.entries(values)
      .flatMap(([key, value]) => `${key}=${value}`)
      .join("\n")}\n`,
  );
}

async function skylark({ directory, namesrvPort, brokerPort, grpcPort }) {
  const file = path.join(directory, "broker.conf");
  writeProperties(file, { brokerName: "broker-a" });
  const ports = { "--namesrv-port": namesrvPort, "--listen-port": brokerPort, "--grpc-port": grpcPort };
  const args = ["start", "--store", path.join(directory, "store"), "-c", file, "--bind", "127.0.0.1"];
  const all = [path.join(ROOT, "bin", "skylark"), ...args, ...Object.entries(ports).flat().map(String)];
  // For profiles: SKYLARK_BENCH_NODE_OPTIONS="--import /path/of/a/hook.mjs".
  const extra = process.env.SKYLARK_BENCH_NODE_OPTIONS;
  const env = extra === undefined ? process.env : { ...process.env, NODE_OPTIONS: extra };
  const child = new Child("skylark", process.execPath, all, { env });
  await child.line(/The broker.* boot success/, START_TIMEOUT_MS);
  return [child];
}

async function apache({ directory, namesrvPort, brokerPort, grpcPort }, local) {
  fs.mkdirSync(path.join(directory, "conf"));
  const file = (name) => path.join(directory, "conf", name);
  const namesrvAddr = `127.0.0.1:${namesrvPort}`;
  const store = path.join(directory, "store");
  writeProperties(file("namesrv.conf"), { listenPort: namesrvPort, bindAddress: "127.0.0.1" });
  writeProperties(file("broker.conf"), {
    brokerName: "broker-a",
    brokerIP1: "127.0.0.1",
    bindAddress: "127.0.0.1",
    listenPort: brokerPort,
    namesrvAddr,
    storePathRootDir: store,
    storePathCommitLog: path.join(store, "commitlog"),
  });
  const proxy = {
    rocketMQClusterName: "DefaultCluster",
    proxyClusterName: "DefaultCluster",
    namesrvAddr,
    grpcServerPort: grpcPort,
    remotingListenPort: grpcPort + 1,
  };
  fs.writeFileSync(file("rmq-proxy.json"), JSON.stringify(proxy));
  const env = { ...process.env, ROCKETMQ_HOME: directory, RMQ_PROXY_HOME: directory };
  const start = async (name, heap, main, args, ready) => {
    const jvm = [...heap, ...OPENED, `-Duser.home=${directory}`, `-Drocketmq.home.dir=${directory}`];
    const child = new Child(name, "java", [...jvm, "-cp", apacheClassPath(), main, ...args], { env });
    await child.line(ready, START_TIMEOUT_MS);
    return child;
  };
  const boot = /boot success/;
  const children = [
    await start(
      "apache namesrv",
      ["-Xms256m", "-Xmx256m"],
      "org.apache.rocketmq.namesrv.NamesrvStartup",
      ["-c", file("namesrv.conf")],
      boot,
    ),
  ];
  const args = ["-pc", file("rmq-proxy.json"), "-n", namesrvAddr, "-pm", local ? "local" : "cluster"];
  if (local) args.push("-bc", file("broker.conf"));
  else {
    const broker = ["-c", file("broker.conf")];
    children.push(await start("apache broker", HEAP, "org.apache.rocketmq.broker.BrokerStartup", broker, boot));
  }
  const main = "org.apache.rocketmq.proxy.ProxyStartup";
  children.push(await start("apache proxy", HEAP, main, args, /rocketmq-proxy startup successfully/));
  return children;
}

const STARTERS = {
  skylark,
  "apache-local": (place) => apache(place, true),
  "apache-cluster": (place) => apache(place, false),
};

export const GRPC_SERVERS = Object.keys(STARTERS);

/** Starts one on an empty store; ports are portBase, +10 (broker), +20 (gRPC), and those that Apache derives from them. */
export async function startGrpcServer(kind, { workDirectory, portBase }) {
  const directory = path.join(workDirectory, kind);
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  const place = { directory, namesrvPort: portBase, brokerPort: portBase + 10, grpcPort: portBase + 20 };
  const children = await STARTERS[kind](place);
  const pids = children.map((child) => child.pid);
  await sleep(3000);
  return {
    ...place,
    pids,
    memory: () => residentMb(pids).total,
    /** The last first, so that brokers can unregister. */
    async stop() {
      for (const child of [...children].reverse()) await child.stop();
      fs.rmSync(directory, { recursive: true, force: true });
    },
  };
}
