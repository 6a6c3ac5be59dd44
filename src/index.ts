/**
 * The embedded API: a NameServer, a broker, both, or a proxy in front of them, inside a Node process. Port 0 takes a free one; `close` leaves
 * nothing behind but the store's directory (and not even that when it was a temporary one).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, silentLogger } from "./base/log.ts";
import { checkDeclaredTopics, type TopicDeclaration } from "./broker/declaredTopics.ts";
import { loadBrokerConfig, loadNamesrvConfig, loadProxyConfig } from "./config/index.ts";
import { startBrokerServer } from "./server/brokerServer.ts";
import { startClusterServers } from "./server/cluster.ts";
import { thisMachine } from "./server/machine.ts";
import { startNamesrvServer } from "./server/namesrvServer.ts";
import { startProxyServer } from "./server/proxyServer.ts";
import { systemRuntime } from "./server/runtime.ts";

export type { TopicDeclaration };

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
  /** Topics that are to be there, as declared, before any client can ask; names or more. */
  topics?: readonly (string | TopicDeclaration)[];
  /** More of Apache's broker.conf keys. */
  config?: Record<string, string>;
}

export interface ClusterOptions extends CommonOptions {
  namesrvPort?: number;
  brokerPort?: number;
  /** Port of the gRPC protocol for 5.x clients; 0: any free port (default). */
  grpcPort?: number;
  /** Port of the console; 0: any free port; default: no console. */
  consolePort?: number;
  store?: string;
  /** Topics that are to be there, as declared, before any client can ask; names or more. */
  topics?: readonly (string | TopicDeclaration)[];
  config?: Record<string, string>;
  /** More of Apache's rmq-proxy.json keys. */
  proxyConfig?: Record<string, string>;
}

export interface ProxyOptions extends CommonOptions {
  /** 0: any free port (default). */
  port?: number;
  /** `host:port;host:port` */
  namesrvAddr: string;
  /** More of Apache's rmq-proxy.json keys. */
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
  /** `host:port` that 5.x clients take as their endpoints. */
  grpcAddr: string;
  /** `host:port` of the console, where there is one. */
  consoleAddr: string | undefined;
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
export function startBroker(options: BrokerOptions): Promise<Running> {
  const bind = options.bind ?? "127.0.0.1";
  return withStore(options.store, async (dir) => {
    const entries = brokerEntries(dir, options.port ?? 0, options.config);
    entries.set("namesrvAddr", options.namesrvAddr);
    const { config } = loadBrokerConfig(entries, thisMachine(bind));
    const topics = checkDeclaredTopics(options.topics ?? [], "topics");
    const runtime = systemRuntime(options.log ?? silentLogger());
    const { address, close } = await startBrokerServer(runtime, { config, bind, topics });
    return { address, close };
  });
}

/** Starts a NameServer and a broker together: a whole cluster for tests. */
export function startCluster(options: ClusterOptions = {}): Promise<RunningCluster> {
  const bind = options.bind ?? "127.0.0.1";
  return withStore(options.store, async (dir) => {
    const machine = thisMachine(bind);
    const namesrv = loadNamesrvConfig(
      new Map([
        ["listenPort", String(options.namesrvPort ?? 0)],
        ["kvConfigPath", join(dir, "namesrv", "kvConfig.json")],
      ]),
      machine,
    ).config;
    const broker = loadBrokerConfig(brokerEntries(dir, options.brokerPort ?? 0, options.config), machine).config;
    const grpc = loadProxyConfig(
      new Map(Object.entries({ grpcServerPort: String(options.grpcPort ?? 0), ...options.proxyConfig })),
      machine,
    ).config;
    const runtime = systemRuntime(options.log ?? silentLogger());
    const topics = checkDeclaredTopics(options.topics ?? [], "topics");
    const cluster = await startClusterServers(runtime, {
      namesrv,
      broker,
      grpc,
      bind,
      topics,
      ...(options.consolePort === undefined
        ? {}
        : { console: { host: bind, port: options.consolePort, isGiven: true } }),
    });
    return {
      namesrvAddr: cluster.namesrv.address,
      brokerAddr: cluster.broker.address,
      consoleAddr: cluster.broker.consolePort === undefined ? undefined : `${bind}:${cluster.broker.consolePort}`,
      grpcAddr: cluster.broker.address.replace(/\d+$/, String(cluster.broker.grpcPort)),
      close: () => cluster.close(),
    };
  });
}

/** Starts a proxy: the gRPC protocol of 5.x clients in front of the brokers of `namesrvAddr`. */
export async function startProxy(options: ProxyOptions): Promise<Running> {
  const bind = options.bind ?? "127.0.0.1";
  const { namesrvAddr } = options;
  const entries = { grpcServerPort: String(options.port ?? 0), ...options.config, namesrvAddr };
  const { config } = loadProxyConfig(new Map(Object.entries(entries)), thisMachine(bind));
  const { port, close } = await startProxyServer(systemRuntime(options.log ?? silentLogger()), { config, bind });
  return { address: `${bind}:${port}`, close };
}

function brokerEntries(store: string, port: number, more: Record<string, string> | undefined): Map<string, string> {
  return new Map(
    Object.entries({ brokerName: "broker-a", storePathRootDir: store, listenPort: String(port), ...more }),
  );
}

/** Starts something on the given store, or on a temporary one that goes with it (or with the failure to start). */
async function withStore<R extends { close(): Promise<void> }>(
  given: string | undefined,
  start: (dir: string) => Promise<R>,
): Promise<R> {
  if (given !== undefined) return start(given);
  const dir = mkdtempSync(join(tmpdir(), "skylark-"));
  const remove = () => rmSync(dir, { recursive: true, force: true });
  try {
    const running = await start(dir);
    return { ...running, close: () => running.close().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}
