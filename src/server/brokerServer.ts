/**
 * A broker on its sockets (Apache: BrokerStartup, BrokerController): what it is made of (brokerParts.ts) is started bottom up
 * and stopped top down.
 */
import { hostBytes } from "../base/host.ts";
import { declareTopics } from "../broker/declaredTopics.ts";
import { type BrokerConfig, ConfigError } from "../config/index.ts";
import type { AutoSwitchMaster } from "../ha/autoSwitch/autoSwitchMaster.ts";
import type { HaMaster } from "../ha/haMaster.ts";
import type { RunningExporter } from "../http/metrics/exporter.ts";
import type { RemotingServer } from "../remoting/server.ts";
import { type Broker, type BrokerServerOptions, ipOf, openBroker } from "./brokerParts.ts";
import { type RunningConsole, startConsole } from "./console.ts";
import { startControlledBroker } from "./controlledBroker.ts";
import { type RunningGrpc, startLocalGrpc } from "./grpcServer.ts";
import { startExporting } from "./metrics.ts";
import type { Runtime } from "./runtime.ts";

/** The fast port of a broker lies this far below its listenPort (Apache: VIP channel). */
const FAST_PORT_OFFSET = 2;
/** How long the console waits for a NameServer. */
const ASK_MS = 3_000;

export interface RunningBroker {
  /** `host:port` that clients are told, unless the NameServer tells each its own. */
  address: string;
  port: number;
  /** Port of the gRPC protocol, where that is served. */
  grpcPort: number | undefined;
  /** Port of /metrics, where that is served. */
  metricsPort: number | undefined;
  /** Port of the console, where there is one. */
  consolePort: number | undefined;
  /** @param goesOn this broker is back in a moment: NameServers need not forget it */
  close(goesOn?: boolean): Promise<void>;
}

/** A broker in one role, as its Controller's side knows it. */
export interface BrokerInRole extends RunningBroker {
  readonly logEnd: number;
  readonly confirmOffset: number;
  /** The side of an elected master. */
  readonly master: AutoSwitchMaster | undefined;
  /** As a slave: registers with NameServers and follows this master from now on. */
  follow(masterAddress: string): void;
  /** As a master: a later epoch has begun. */
  beginEpoch(masterEpoch: number): void;
}

export function startBrokerServer(runtime: Runtime, options: BrokerServerOptions): Promise<RunningBroker> {
  return options.config.enableControllerMode
    ? startControlledBroker(runtime, options, startInRole)
    : startInRole(runtime, options);
}

async function startInRole(runtime: Runtime, options: BrokerServerOptions): Promise<BrokerInRole> {
  const broker = await openBroker(runtime, options);
  const listeners = await bringUp(runtime, options, broker);
  await startServices(options, broker);
  return running(options, broker, listeners);
}

/** What listens beside the ports for remoting. */
interface Listeners {
  grpc: RunningGrpc | undefined;
  exporter: RunningExporter | undefined;
  page: RunningConsole | undefined;
}

/** Opens the store, reads what a role needs of it, and listens; when one of these fails, what was opened is closed. */
async function bringUp(runtime: Runtime, options: BrokerServerOptions, broker: Broker): Promise<Listeners> {
  const { disk, log } = runtime;
  const { config, bind, controlled } = options;
  const { parts, rows, role, isSlave, master, switched, auth, tls, ownTls, timers, recorders, server, fast, ask } =
    broker;
  const { store, topics, transactions, pops } = parts;
  const listeners: Listeners = { grpc: undefined, exporter: undefined, page: undefined };
  await store.start().catch(async (error) => {
    ownTls?.close();
    await auth.stop();
    throw error;
  });
  try {
    await auth.start();
    if (isSlave) {
      if (options.topics?.length && controlled === undefined)
        throw new ConfigError(["a slave takes its topics from its master: declare them there"]);
      role.slave = broker.makeSlave();
    } else {
      if (controlled !== undefined) {
        controlled.epochs.beginMine(controlled.masterEpoch, store.maxLogOffset());
        await controlled.epochs.save();
        topics.beginEpoch(controlled.masterEpoch);
      }
      await declareTopics(topics, options.topics ?? [], config);
      await transactions.start();
      await timers?.load();
      await pops.start();
    }
    config.listenPort = await server.listen(bind, config.listenPort);
    if (config.listenPort > FAST_PORT_OFFSET) await listenFast(fast, bind, config.listenPort - FAST_PORT_OFFSET, log);
    // A slave under a Controller has no slaves of its own, and its epochs may not be anybody's yet.
    if (controlled === undefined || switched !== undefined) await listenForSlaves(master, config, bind, log);
    if (options.grpc !== undefined && isSlave) log.warn("a slave does not serve the gRPC protocol: its clients pop");
    else if (options.grpc !== undefined)
      listeners.grpc = await startLocalGrpc(parts, rows, options.grpc, disk, bind, tls.server.mode, auth.decisions);
    if (recorders !== undefined) listeners.exporter = await startExporting({ ...parts, ...recorders });
    if (options.console !== undefined) {
      const askNameServer = (code: number) => {
        const [first] = (config.namesrvAddr ?? "").split(";");
        return first === "" ? Promise.reject(new Error("no NameServer")) : ask(first, code, {}, undefined, ASK_MS);
      };
      const users = auth.decisions === undefined ? undefined : auth.tables;
      listeners.page = await startConsole({ ...parts, rows, askNameServer }, options.console, disk, users);
    }
  } catch (error) {
    master.stop();
    await Promise.all([server.close(), fast.close(), listeners.grpc?.close(), listeners.exporter?.close()]);
    ownTls?.close();
    await auth.stop();
    timers?.abandon();
    await store.close();
    throw error;
  }
  return listeners;
}

/** Starts all that works by the clock, and tells the NameServers. */
async function startServices({ config, controlled }: BrokerServerOptions, broker: Broker): Promise<void> {
  const { parts, role, isSlave, switched, timers, checks } = broker;
  const { log, offsets, clients, broadcasts, consumerFilters, holds, lites, routes, stats, counters } = parts;
  parts.store.storeHost = hostBytes(broker.ip, config.listenPort);
  // Ids of messages name the address by which they can be asked for (Apache's keep the one of the start).
  parts.registration.onAddress(() => {
    ipOf(config.brokerIP1).then(
      (moved) => {
        parts.store.storeHost = hostBytes(moved, config.listenPort);
      },
      (error: Error) => log.warn(`message ids keep naming the old address: ${error.message}`),
    );
  });
  offsets.start();
  clients.start();
  broadcasts.start();
  consumerFilters.start();
  holds.start();
  if (!isSlave) lites.start();
  routes.start();
  stats.start();
  counters.start();
  if (role.slave === undefined) {
    parts.schedule.start();
    checks.start();
    timers?.start();
  } else role.slave.start();
  // Who has no master yet is nobody's slave: NameServers hear of it when it follows one.
  if (controlled === undefined || switched !== undefined) await parts.registration.start();
}

function running({ config, controlled }: BrokerServerOptions, broker: Broker, listeners: Listeners): BrokerInRole {
  const { parts, role, isSlave, master, switched, auth, ownTls, timers, checks, client, server, fast } = broker;
  const { store, topics, groups, offsets, clients, broadcasts, consumerFilters, holds, lites, routes } = parts;
  const { registration, pops, schedule, transactions, stats, counters } = parts;
  const { grpc, exporter, page } = listeners;
  return {
    address: parts.address(),
    port: config.listenPort,
    grpcPort: grpc?.port,
    metricsPort: exporter?.port,
    consolePort: page?.port,
    master: switched,
    get logEnd() {
      return store.maxLogOffset();
    },
    get confirmOffset() {
      return switched?.confirmOffset ?? role.slave?.confirmOffset ?? 0;
    },
    follow(masterAddress) {
      role.slave?.follow(masterAddress);
      void registration.start();
    },
    beginEpoch(masterEpoch) {
      controlled?.epochs.beginMine(masterEpoch, store.maxLogOffset());
      controlled?.epochs.saveSoon();
      topics.beginEpoch(masterEpoch);
      void registration.registerAll(true);
    },
    async close(goesOn = false) {
      await inTurn(
        () => server.stopAccepting(),
        () => fast.stopAccepting(),
        () => (goesOn ? registration.pause() : registration.stop()),
        () => master.stop(),
        () => role.slave?.stop(),
        () => holds.stop(),
        () => lites.stop(),
        () => routes.stop(),
        () => (isSlave ? undefined : pops.stop()),
        () => schedule.stop(),
        () => checks.stop(),
        () => (isSlave ? undefined : timers?.stop()),
        () => clients.stop(),
        () => broadcasts.stop(),
        () => stats.stop(),
        () => counters.stop(),
        () => Promise.all([server.close(), fast.close(), grpc?.close(), exporter?.close(), page?.close()]),
        () => client.close(),
        () => ownTls?.close(),
        () => (isSlave ? undefined : transactions.stop()),
        () => offsets.stop(),
        () => consumerFilters.stop(),
        () => auth.stop(),
        () => topics.stop(),
        () => groups.stop(),
        () => store.close(),
      );
    },
  };
}

/** Runs all steps, one after the other, whatever fails: what comes last is the store. Rejects with the first failure. */
async function inTurn(...steps: (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** The fast port is a convenience of old clients: when it is taken, the broker goes on without it and says so. */
async function listenFast(fast: RemotingServer, bind: string, port: number, log: Runtime["log"]): Promise<void> {
  try {
    await fast.listen(bind, port);
  } catch (error) {
    log.warn(
      { port, err: (error as Error).message },
      "no fast (VIP) port: clients with vipChannelEnabled cannot use this broker",
    );
  }
}

/** Slaves are optional: where nothing waits for them, a taken port costs replication, not the broker. */
async function listenForSlaves(
  master: HaMaster | AutoSwitchMaster,
  config: BrokerConfig,
  bind: string,
  log: Runtime["log"],
): Promise<void> {
  if (config.haListenPort <= 0) config.haListenPort = config.listenPort + 1;
  try {
    config.haListenPort = await master.start(bind, config.haListenPort);
  } catch (error) {
    if (config.brokerRole === "SYNC_MASTER") throw error;
    log.warn({ port: config.haListenPort, err: (error as Error).message }, "no port for slaves: nobody can replicate");
  }
  if (config.brokerRole === "SYNC_MASTER" && config.inSyncReplicas <= 1 && !config.enableControllerMode) {
    log.warn(
      { inSyncReplicas: config.inSyncReplicas },
      "SYNC_MASTER does not wait for slaves while inSyncReplicas is 1 (as in Apache 5): set it to 2 for a copy of every message",
    );
  }
}
