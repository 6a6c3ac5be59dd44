/**
 * The process that `skylark start --shards N` is: the NameServer, the gRPC protocol in front of all shards, and the shards' keeper.
 * It stands between no classic client and its broker, so its own core is not the limit.
 */
import { join } from "node:path";
import type { DeclaredTopic } from "../../broker/declaredTopics.ts";
import { type BrokerConfig, ConfigError, type NamesrvConfig, type ProxyConfig } from "../../config/index.ts";
import { ListenError } from "../../grpc/listener.ts";
import { bracketed, loopbackOf, withOwn } from "../cluster.ts";
import { type RunningNamesrv, startNamesrvServer } from "../namesrvServer.ts";
import { type RunningProxy, startProxyServer } from "../proxyServer.ts";
import type { Runtime } from "../runtime.ts";
import { openTls, type Tls } from "../tls.ts";
import { idleShards, type ShardPlan } from "./plan.ts";
import type { StartShard } from "./processes.ts";
import { takeOverRules } from "./proxyRules.ts";
import { Shards } from "./shards.ts";

export interface ShardedClusterOptions {
  readonly plans: readonly ShardPlan[];
  /** The configuration that all shards share. */
  readonly broker: BrokerConfig;
  /** undefined: the shards register with the NameServers of `broker` only. */
  readonly namesrv: NamesrvConfig | undefined;
  readonly grpc: ProxyConfig;
  readonly bind: string;
  readonly topics: readonly DeclaredTopic[];
  readonly startShard: StartShard;
  /** Every shard's store has failed. */
  onNoneLeft(): void;
}

export interface ShardedCluster {
  /** Where there is one of this process. */
  readonly namesrv: RunningNamesrv | undefined;
  /** undefined: 5.x clients are not served, the log says why. */
  readonly grpcPort: number | undefined;
  /** What the shards register with. */
  readonly namesrvAddr: string;
  /** Starts the shards. @returns the address of each, when all are ready @throws Error when one could not start, all stopped */
  startShards(): Promise<string[]>;
  /** Stops all in order, also while they start. @throws Error when a shard did not end in order */
  close(): Promise<void>;
}

/** Starts everything but the shards. @throws Error when a port is taken */
export async function startShardedCluster(runtime: Runtime, options: ShardedClusterOptions): Promise<ShardedCluster> {
  const { broker: config, plans, bind } = options;
  refusePlainAcl(config, options.grpc);
  takeOverRules(config, options.grpc);
  const tls = await openTls(runtime, config);
  let namesrv: RunningNamesrv | undefined;
  let proxy: RunningProxy | undefined;
  const closeFronts = async (): Promise<void> => {
    await namesrv?.close();
    tls.close();
  };
  try {
    if (options.namesrv !== undefined) namesrv = await startNamesrv(runtime, options, options.namesrv, tls);
    if (namesrv !== undefined) config.namesrvAddr = withOwn(`${loopbackOf(bind)}:${namesrv.port}`, config.namesrvAddr);
    proxy = await startProxy(runtime, options, tls);
  } catch (error) {
    await closeFronts();
    throw error;
  }
  const namesrvAddr = config.namesrvAddr ?? "";
  const shards = new Shards({
    names: plans.map(({ name }) => name),
    order: (index) => ({
      name: plans[index].name,
      entries: new Map([...plans[index].entries, ["namesrvAddr", namesrvAddr]]),
      bind,
      topics: options.topics,
      console: plans[index].console,
    }),
    startShard: options.startShard,
    clock: runtime.clock,
    log: runtime.log,
    onNoneLeft: options.onNoneLeft,
  });
  warnOfIdleStores(runtime, options);
  return {
    namesrv,
    grpcPort: proxy?.port,
    namesrvAddr,
    startShards: () => shards.start(),
    async close() {
      // What 5.x clients were working on is given back while the shards are there to take it.
      await proxy?.close();
      const inOrder = await shards.stop();
      await closeFronts();
      if (!inOrder) throw new Error("not every shard ended in order");
    },
  };
}

/** As in the process that is all in one, brokers without brokerIP1 are told to each client by the address it came by. */
function startNamesrv(
  runtime: Runtime,
  { broker, plans, bind }: ShardedClusterOptions,
  config: NamesrvConfig,
  tls: Tls,
): Promise<RunningNamesrv> {
  const ports = new Map(plans.map(({ listenPort }) => [`${broker.brokerIP1}:${listenPort}`, listenPort]));
  const isFixed = broker.given.has("brokerIP1");
  return startNamesrvServer(runtime, {
    config,
    bind,
    tls,
    rewriteBrokerAddr: (address, caller) => {
      const port = isFixed ? undefined : ports.get(address);
      return port === undefined ? address : `${bracketed(caller.reachedBy)}:${port}`;
    },
  });
}

/** @throws ListenError when a port that was asked for is taken */
async function startProxy(
  runtime: Runtime,
  { broker, grpc, bind }: ShardedClusterOptions,
  tls: Tls,
): Promise<RunningProxy | undefined> {
  if (broker.aclEnable) {
    runtime.log.warn("5.x clients are not served: no proxy in front of brokers knows the accounts of ACL 1.0");
    return undefined;
  }
  grpc.namesrvAddr = broker.namesrvAddr;
  if (!grpc.given.has("rocketMQClusterName")) grpc.rocketMQClusterName = broker.brokerClusterName;
  try {
    return await startProxyServer(runtime, { config: grpc, bind, tls });
  } catch (error) {
    if (grpc.given.has("grpcServerPort") || !(error instanceof ListenError)) throw error;
    runtime.log.warn({ err: error.message }, "5.x clients cannot use these shards: give --grpc-port another port");
    return undefined;
  }
}

/** Who asked for a port of the protocol shall not find out by its clients that there is none. */
function refusePlainAcl(config: BrokerConfig, grpc: ProxyConfig): void {
  if (!config.aclEnable || !grpc.given.has("grpcServerPort")) return;
  throw new ConfigError([
    `--grpc-port ${grpc.grpcServerPort}: with aclEnable=true shards do not serve 5.x clients, no proxy in front of brokers knows the accounts of ACL 1.0`,
  ]);
}

/** Messages that were served yesterday and are not today deserve a word. */
function warnOfIdleStores({ disk, log }: Runtime, { broker, plans }: ShardedClusterOptions): void {
  const root = broker.storePathRootDir;
  const idle = idleShards(disk.list(root), broker.brokerName, plans.length).map((name) => join(root, name));
  if (disk.exists(join(root, "commitlog"))) idle.push(root);
  for (const dir of idle) {
    log.warn(`${dir} holds a store that is not one of these ${plans.length} shards: its messages are not served`);
  }
}
