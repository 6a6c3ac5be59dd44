// Skylark's mqproxy as a process of its own: in front of Skylark's NameServer and broker, or in front of Apache's.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ApacheServer } from "../../lib/apache.mjs";
import { Child, own } from "../../lib/child.mjs";
import { SkylarkServer, START_LIMIT_MS } from "../../lib/skylark.mjs";
import { ProxyBefore } from "./proxyBefore.mjs";

const BIN = join(process.env.SKYLARK_ROOT ?? fileURLToPath(new URL("../../../", import.meta.url)), "bin");

export class SkylarkProxy extends ProxyBefore {
  /** @param {"skylark-proxy" | "skylark-over-apache"} kind */
  constructor(options, kind) {
    super();
    Object.assign(this, options);
    this.kind = kind;
  }

  async start() {
    const { dir, lib, namesrvPort, brokerPort, grpcPort, settings, proxySettings, kind } = this;
    mkdirSync(dir, { recursive: true });
    this.cluster =
      kind === "skylark-over-apache"
        ? new ApacheServer({ dir, lib, namesrvPort, brokerPort, settings })
        : new SkylarkServer({ dir, namesrvPort, brokerPort, settings, layout: "split" });
    await this.cluster.startNamesrv();
    await this.cluster.startBroker();
    const file = join(dir, "rmq-proxy.json");
    const config = { rocketMQClusterName: "DefaultCluster", grpcServerPort: grpcPort };
    writeFileSync(file, JSON.stringify({ ...config, ...proxySettings }));
    const args = ["-pc", file, "-n", `127.0.0.1:${namesrvPort}`, "--bind", "127.0.0.1"];
    this.proxy = own(
      new Child("Skylark proxy", process.execPath, [join(BIN, "mqproxy"), ...args], {
        log: join(dir, "proxy.log"),
        env: { SKYLARK_LOG_LEVEL: process.env.SKYLARK_LOG_LEVEL ?? "info" },
      }),
    );
    await this.proxy.line(/rocketmq-proxy startup successfully/, START_LIMIT_MS);
  }
}
