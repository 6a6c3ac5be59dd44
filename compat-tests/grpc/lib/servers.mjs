// The servers that speak the 5.x protocol: Skylark in one process, Apache's proxy 5.5.0 in front of Apache's broker (cluster mode), or
// both of them in one JVM (local mode), Apache's proxy in cluster mode in front of Skylark's NameServer and broker, and Skylark's mqproxy in
// front of either.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ApacheServer } from "../../lib/apache.mjs";
import { Child, own } from "../../lib/child.mjs";
import { brokerProperties, writeProperties } from "../../lib/config.mjs";
import { COMMON } from "../../lib/setups.mjs";
import { SkylarkServer, START_LIMIT_MS } from "../../lib/skylark.mjs";
import { ProxyBefore } from "./proxyBefore.mjs";
import { SkylarkProxy } from "./skylarkProxy.mjs";

const BIN = join(process.env.SKYLARK_ROOT ?? fileURLToPath(new URL("../../../", import.meta.url)), "bin");
const APACHE_START_LIMIT_MS = 300_000;
/** Undecided transactions are asked about after seconds; SQL92 filters, recalls and lite topics are allowed. */
const SETTINGS = {
  ...COMMON,
  transactionTimeOut: 3_000,
  transactionCheckInterval: 3_000,
  enablePropertyFilter: true,
  recallMessageEnable: true,
  enableLmq: true,
  enableMultiDispatch: true,
};

/** Offset of the gRPC port behind the NameServer's: no other port of the block lies there. */
const GRPC_OFFSET = 13;

/**
 * @param kind see README.md
 * @param {{ settings?: object, proxySettings?: object }} options settings: the broker's, beyond those that the scenarios need;
 *   proxySettings: of rmq-proxy.json
 */
export function makeServer(kind, { dir, namesrvPort, brokerPort, lib, settings: own = {}, proxySettings = {} }) {
  const settings = { ...SETTINGS, ...own };
  const options = { dir, namesrvPort, brokerPort, grpcPort: namesrvPort + GRPC_OFFSET, lib, settings, proxySettings };
  switch (kind) {
    case "skylark":
      return new Skylark(options);
    case "apache-cluster":
      return new ApacheProxy(options, "cluster");
    case "apache-over-skylark":
      return new ApacheProxy(options, "over-skylark");
    case "skylark-proxy":
    case "skylark-over-apache":
      return new SkylarkProxy(options, kind);
    case "apache-local":
      return new ApacheProxy(options, "local");
    default:
      throw new Error(`no server ${kind}`);
  }
}

class Skylark {
  kind = "skylark";
  #child;

  constructor(options) {
    Object.assign(this, options);
  }

  async start() {
    mkdirSync(this.dir, { recursive: true });
    const file = join(this.dir, "broker.conf");
    const namesrvAddr = `127.0.0.1:${this.namesrvPort}`;
    const settings = { bindAddress: "127.0.0.1", ...this.settings };
    const store = join(this.dir, "store");
    writeProperties(file, brokerProperties({ brokerPort: this.brokerPort, namesrvAddr, store, settings }));
    const ports = {
      "--namesrv-port": this.namesrvPort,
      "--listen-port": this.brokerPort,
      "--grpc-port": this.grpcPort,
    };
    const args = ["start", "--store", store, "--bind", "127.0.0.1", "-c", file, ...Object.entries(ports).flat()];
    if (Object.keys(this.proxySettings).length > 0) {
      const proxyFile = join(this.dir, "rmq-proxy.json");
      writeFileSync(proxyFile, JSON.stringify(this.proxySettings));
      args.push("-pc", proxyFile);
    }
    this.#child = own(
      new Child("Skylark", process.execPath, [join(BIN, "skylark"), ...args.map(String)], {
        log: join(this.dir, "server.log"),
        env: { SKYLARK_LOG_LEVEL: process.env.SKYLARK_LOG_LEVEL ?? "info" },
      }),
    );
    await this.#child.line(/^The broker\[.*\] boot success/, START_LIMIT_MS);
  }

  get pid() {
    return this.#child.pid;
  }

  async stop() {
    return this.#child.terminate();
  }

  async kill9() {
    await this.#child?.kill9();
  }
}

class ApacheProxy extends ProxyBefore {
  constructor(options, mode) {
    super();
    Object.assign(this, options);
    this.mode = mode;
    this.kind = `apache-${mode}`;
  }

  async start() {
    const { dir, lib, namesrvPort, brokerPort, grpcPort, settings } = this;
    const home = join(dir, "proxy-home");
    mkdirSync(join(home, "conf"), { recursive: true });
    if (this.mode === "over-skylark") {
      this.cluster = new SkylarkServer({ dir, namesrvPort, brokerPort, settings, layout: "split" });
    } else {
      this.cluster = new ApacheServer({ dir, lib, namesrvPort, brokerPort, settings });
    }
    await this.cluster.startNamesrv();
    if (this.mode !== "local") await this.cluster.startBroker();
    const namesrvAddr = `127.0.0.1:${namesrvPort}`;
    const file = join(home, "conf", "rmq-proxy.json");
    writeFileSync(
      file,
      JSON.stringify({
        rocketMQClusterName: "DefaultCluster",
        proxyClusterName: "DefaultCluster",
        namesrvAddr,
        grpcServerPort: grpcPort,
        remotingListenPort: namesrvPort + 15,
        ...this.proxySettings,
      }),
    );
    const args = ["-pc", file, "-pm", this.mode === "local" ? "local" : "cluster", "-n", namesrvAddr];
    if (this.mode === "local") {
      const store = join(dir, "store");
      mkdirSync(store, { recursive: true });
      const conf = join(home, "conf", "broker.conf");
      const local = { bindAddress: "127.0.0.1", ...settings };
      writeProperties(conf, brokerProperties({ brokerPort, namesrvAddr, store, settings: local }));
      args.push("-bc", conf);
    }
    const flags = [
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      "-Xms64m",
      "-Xmx512m",
      "-XX:MaxDirectMemorySize=512m",
      "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
      `-Duser.home=${home}`,
      `-Drocketmq.home.dir=${home}`,
    ];
    this.proxy = own(
      new Child(
        "Apache proxy",
        "java",
        [...flags, "-cp", join(lib, "*"), "org.apache.rocketmq.proxy.ProxyStartup", ...args],
        {
          log: join(dir, "proxy.log"),
          env: { ROCKETMQ_HOME: home, RMQ_PROXY_HOME: home },
        },
      ),
    );
    await this.proxy.line(/rocketmq-proxy startup successfully/, APACHE_START_LIMIT_MS);
  }

  /** How Apache stops is not ours to judge, and takes its time. */
  async stop() {
    const end = await this.proxy.kill9();
    if (this.mode === "over-skylark") await this.cluster.stopGracefully();
    else await this.cluster.kill9();
    return end;
  }
}
