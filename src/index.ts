/**
 * The embedded API: a NameServer, a broker, or both, inside a Node process. Port 0 takes a free one; `close` leaves
 * nothing behind but the store's directory (and not even that when it was a temporary one).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, silentLogger } from "./base/log.ts";
import { loadBrokerConfig, loadNamesrvConfig } from "./config/index.ts";
import { startBrokerServer } from "./server/brokerServer.ts";
import { startClusterServers } from "./server/cluster.ts";
import { thisMachine } from "./server/machine.ts";
import { startNamesrvServer } from "./server/namesrvServer.ts";
import { systemRuntime } from "./server/runtime.ts";

export interface CommonOptions {
  /** Address to listen on; default 127.0.0.1. */
  bind?: string;
  /** A pino logger; default: silence. */
  log?: Logger;
}

export interface NameServerOptions extends CommonOptions {
  /** 0: any free port (default). */
  port?: number;
  /** More of Apache's namesrv.conf keys. */
  config?: Record<string, string>;
}

export interface BrokerOptions extends CommonOptions {
  /** 0: any free port (default). */
  port?: number;
  /** `host:port;host:port` */
  namesrvAddr: string;
  /** Directory of the store; default: a temporary one, removed by `close`. */
  store?: string;
  /** More of Apache's broker.conf keys. */
  config?: Record<string, string>;
}

export interface ClusterOptions extends CommonOptions {
  namesrvPort?: number;
  brokerPort?: number;
  store?: string;
  config?: Record<string, string>;
}

export interface Running {
  /** `host:port` */
  address: string;
  close(): Promise<void>;
}

export interface RunningCluster {
  namesrvAddr: string;
  brokerAddr: string;
  close(): Promise<void>;
}

/** Starts a NameServer. */
export async function startNameServer(options: NameServerOptions = {}): Promise<Running> {
  const bind = options.bind ?? "127.0.0.1";
  const entries = new Map(Object.entries({ listenPort: String(options.port ?? 0), ...options.config }));
  const { config } = loadNamesrvConfig(entries, thisMachine(bind));
  return startNamesrvServer(systemRuntime(options.log ?? silentLogger()), { config, bind });
}

/** Starts a broker that registers with `namesrvAddr`. */
export async function startBroker(options: BrokerOptions): Promise<Running> {
  const bind = options.bind ?? "127.0.0.1";
  const store = temporaryStore(options.store);
  const entries = brokerEntries(store.dir, options.port ?? 0, options.config);
  entries.set("namesrvAddr", options.namesrvAddr);
  const { config } = loadBrokerConfig(entries, thisMachine(bind));
  const broker = await startBrokerServer(systemRuntime(options.log ?? silentLogger()), { config, bind });
  return { address: broker.address, close: () => broker.close().finally(store.remove) };
}

/** Starts a NameServer and a broker together: a whole cluster for tests. */
export async function startCluster(options: ClusterOptions = {}): Promise<RunningCluster> {
  const bind = options.bind ?? "127.0.0.1";
  const store = temporaryStore(options.store);
  const machine = thisMachine(bind);
  const namesrv = loadNamesrvConfig(
    new Map([
      ["listenPort", String(options.namesrvPort ?? 0)],
      ["kvConfigPath", join(store.dir, "namesrv", "kvConfig.json")],
    ]),
    machine,
  ).config;
  const broker = loadBrokerConfig(brokerEntries(store.dir, options.brokerPort ?? 0, options.config), machine).config;
  const cluster = await startClusterServers(systemRuntime(options.log ?? silentLogger()), { namesrv, broker, bind });
  return {
    namesrvAddr: cluster.namesrv.address,
    brokerAddr: cluster.broker.address,
    close: () => cluster.close().finally(store.remove),
  };
}

function brokerEntries(store: string, port: number, more: Record<string, string> | undefined): Map<string, string> {
  return new Map(
    Object.entries({ brokerName: "broker-a", storePathRootDir: store, listenPort: String(port), ...more }),
  );
}

function temporaryStore(given: string | undefined): { dir: string; remove(): void } {
  if (given !== undefined) return { dir: given, remove: () => {} };
  const dir = mkdtempSync(join(tmpdir(), "skylark-"));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
