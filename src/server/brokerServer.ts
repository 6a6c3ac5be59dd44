/**
 * A broker on its sockets (Apache: BrokerStartup, BrokerController): wires store, state, handlers and listeners, starts
 * them bottom up and stops them top down.
 */
import { lookup } from "node:dns/promises";
import * as path from "node:path";
import { hostBytes } from "../base/host.ts";
import { BroadcastOffsets } from "../broker/broadcastOffsets.ts";
import { Clients } from "../broker/clients.ts";
import { ConsumerFilters } from "../broker/consumerFilters.ts";
import { Counters } from "../broker/counters.ts";
import { type DeclaredTopic, declareTopics } from "../broker/declaredTopics.ts";
import { Groups } from "../broker/groups.ts";
import { Lites } from "../broker/lite/lites.ts";
import { Offsets } from "../broker/offsets.ts";
import { Pops } from "../broker/pop/pops.ts";
import { PullHolds } from "../broker/pullHolds.ts";
import { QueueLocks } from "../broker/queueLocks.ts";
import { Registration, type RequestTo } from "../broker/registration.ts";
import { RequestModes } from "../broker/requestModes.ts";
import { Schedule } from "../broker/schedule.ts";
import { TimerMessageStore } from "../broker/timer/timerMessageStore.ts";
import { NoTimers } from "../broker/timer/timers.ts";
import { TopicRoutes } from "../broker/topicRoutes.ts";
import { Topics } from "../broker/topics.ts";
import { TransactionChecks } from "../broker/transactionChecks.ts";
import { Transactions } from "../broker/transactions.ts";
import { type BrokerConfig, ConfigError, type ProxyConfig } from "../config/index.ts";
import { AutoSwitchMaster } from "../ha/autoSwitch/autoSwitchMaster.ts";
import type { EpochFile } from "../ha/autoSwitch/epochFile.ts";
import { HaMaster } from "../ha/haMaster.ts";
import type { ControllerView } from "../handlers/ha.ts";
import { slaveRows } from "../handlers/slave.ts";
import { brokerRows } from "../handlers/table.ts";
import { UNSUPPORTED } from "../handlers/unsupported.ts";
import type { RunningExporter } from "../http/metrics/exporter.ts";
import { BrokerStats } from "../metrics/brokerStats.ts";
import { RemotingClient } from "../remoting/client.ts";
import { RemotingServer } from "../remoting/server.ts";
import { MessageStore } from "../store/messageStore.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { openAuth } from "./auth.ts";
import { type ConsoleSettings, type RunningConsole, startConsole } from "./console.ts";
import { startControlledBroker } from "./controlledBroker.ts";
import { type RunningGrpc, startLocalGrpc } from "./grpcServer.ts";
import { memoryBytes } from "./machine.ts";
import { makeRecorders, startExporting } from "./metrics.ts";
import type { Runtime } from "./runtime.ts";
import { type ControlledSlave, Slave } from "./slave.ts";
import { openTls, type Tls } from "./tls.ts";

/** The fast port of a broker lies this far below its listenPort (Apache: VIP channel). */
const FAST_PORT_OFFSET = 2;
/** How long the console waits for a NameServer. */
const ASK_MS = 3_000;

export interface BrokerServerOptions {
  config: BrokerConfig;
  bind: string;
  /** TLS of the process; absent: as the configuration says. */
  tls?: Tls;
  /** Where `mqadmin updateBrokerConfig` is kept; without it changes last until the stop. */
  configFile?: string | undefined;
  /** Serves 5.x clients, too, as this says; without it only remoting is spoken. */
  grpc?: ProxyConfig | undefined;
  /** Topics that are there, and as declared, before anybody can reach the broker. */
  topics?: readonly DeclaredTopic[] | undefined;
  /** Serves the console there. */
  console?: ConsoleSettings | undefined;
  /** Present where a Controller has made this broker what it is; see controlledBroker.ts. */
  controlled?: Controlled | undefined;
  /** The store failed for good and is read-only. */
  onFatal?: (error: Error) => void;
}

/** One role of a broker under a Controller. */
export interface Controlled extends ControllerView, ControlledSlave {
  readonly epochs: EpochFile;
  /** The Controller's epoch of this master; 0 on a slave. */
  readonly masterEpoch: number;
  /** As a master: see SetKeeper. */
  readonly initialSet: ReadonlySet<number>;
  propose(brokerIds: ReadonlySet<number>): Promise<void>;
}

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
  const { clock, random, turn, log, disk } = runtime;
  const { config, bind, controlled } = options;
  const root = config.storePathRootDir;
  const metadata = (name: string, waitFor?: () => Promise<void>) =>
    new MetadataFile(disk, path.join(root, "config", name), waitFor);
  const advertised = () => `${config.brokerIP1}:${config.listenPort}`;
  const ip = await resolve(config.brokerIP1);
  const auth = openAuth(runtime, config, bind);
  const ownTls = options.tls === undefined ? await openTls(runtime, config) : undefined;
  const tls = options.tls ?? (ownTls as Tls);

  let schedule: Schedule | undefined;
  const stats = new BrokerStats(config, clock, (topic) => topics.isSystem(topic));
  const counters = new Counters(clock, () => stats.totals);
  const recorders = makeRecorders(config, (topic) => topics.isSystem(topic), log);
  const store = new MessageStore({
    disk,
    clock,
    turn,
    log,
    options: config,
    storeHost: hostBytes(ip, config.listenPort),
    counters,
    stats,
    figures: recorders?.writeFigures,
    deliverTime: (level, storeTimestamp) => schedule?.levels.deliverTime(level, storeTimestamp) ?? storeTimestamp,
    // A slave hears of new topics only now and then.
    hasTopic: (topic) => config.brokerRole === "SLAVE" || !topics.isGone(topic),
    ...(options.onFatal === undefined ? {} : { onFatal: options.onFatal }),
  });
  disk.mkdir(path.join(root, "config"));
  const topics = new Topics(config, metadata("topics.json"), clock, log);
  const groups = new Groups(config, metadata("subscriptionGroup.json"), clock, log);
  const offsets = new Offsets(
    config,
    metadata(config.enableLmq ? "lmqConsumerOffset.json" : "consumerOffset.json", () => store.sync()),
    clock,
    log,
    config.enableLmq ? metadata("consumerOffset.json") : undefined,
  );
  const clients = new Clients(config, clock, log);
  const broadcasts = new BroadcastOffsets(config, clients, offsets, clock);
  const consumerFilters = new ConsumerFilters(config, metadata("consumerFilter.json"), clock, log);
  clients.onSubscriptions(consumerFilters);
  const locks = new QueueLocks(clock, log);
  const holds = new PullHolds(clock);
  schedule = new Schedule(
    config,
    store,
    metadata("delayOffset.json", () => store.sync()),
    clock,
    log,
  );
  const timers = config.timerWheelEnable
    ? new TimerMessageStore({
        options: config,
        store,
        disk,
        clock,
        random,
        log,
        metricsFile: metadata("timermetrics"),
        hasTopic: (topic) => topics.get(topic) !== undefined,
      })
    : undefined;
  const pops = new Pops({
    config,
    store,
    topics,
    groups,
    offsets,
    clock,
    random,
    turn,
    log,
    orderFile: metadata("consumerOrderInfo.json", () => store.sync()),
  });
  const lites = new Lites(config, store, topics, groups, offsets, clock, log);
  const requestModes = new RequestModes(metadata("messageRequestMode.json"), log);
  const client = new RemotingClient(clock, turn, log, [], tls.client, auth.sign);
  const ask: RequestTo = (address, code, header, body, timeoutMs) =>
    client.request(address, code, header, body, timeoutMs);
  const routes = new TopicRoutes(config, ask, clock, log);
  const registration = new Registration(
    config,
    topics,
    ask,
    advertised,
    () => `${config.brokerIP2 ?? config.brokerIP1}:${config.haListenPort}`,
    clock,
    log,
  );
  const transactions = new Transactions(config, store, offsets, metadata("transactionMetrics"), clock, log);
  const checks = new TransactionChecks(config, transactions, store, topics, clients, clock, log);
  if (recorders !== undefined) {
    schedule.metrics = recorders.metrics;
    pops.inFlight.metrics = recorders.metrics;
    pops.reviver.metrics = recorders.metrics;
    timers?.record(recorders.metrics);
  }
  const isSlave = config.brokerRole === "SLAVE";
  let slave: Slave | undefined;
  const switched =
    controlled === undefined || isSlave
      ? undefined
      : new AutoSwitchMaster(
          config,
          store,
          controlled.epochs,
          {
            brokerId: controlled.brokerId(),
            initial: controlled.initialSet,
            propose: (brokerIds) => controlled.propose(brokerIds),
          },
          clock,
          turn,
          log,
        );
  const master = switched ?? new HaMaster(config, store, clock, turn, log);
  const parts = {
    config,
    clock,
    random,
    log,
    store,
    topics,
    groups,
    offsets,
    clients,
    broadcasts,
    consumerFilters,
    locks,
    holds,
    pops,
    lites,
    requestModes,
    routes,
    schedule,
    timers: timers ?? new NoTimers(config, () => clock.now()),
    registration,
    stats,
    transactions,
    counters,
    metrics: recorders?.metrics,
    storeOps: store,
    configFile: options.configFile === undefined ? undefined : new MetadataFile(disk, options.configFile),
    memoryBytes: memoryBytes(),
    ha: { slaves: () => master.slaves(), master: () => slave?.state() },
    controller: controlled,
    address: advertised,
    auth: auth.tables,
  };
  const rows = isSlave ? slaveRows(brokerRows(parts), config) : brokerRows(parts);
  const listener = {
    clock,
    turn,
    log,
    rows,
    unsupported: UNSUPPORTED,
    config,
    tls: tls.server,
    gate: auth.gate,
    rpc: recorders?.metrics.rpc,
  };
  const server = new RemotingServer(listener);
  const fast = new RemotingServer({ ...listener, fast: true });
  let grpc: RunningGrpc | undefined;
  let exporter: RunningExporter | undefined;
  let page: RunningConsole | undefined;
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
      slave = new Slave({ ...parts, disk, timerMetricsFile: metadata("timermetrics"), request: ask, controlled });
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
      grpc = await startLocalGrpc(parts, rows, options.grpc, disk, bind, tls.server.mode, auth.decisions);
    if (recorders !== undefined) exporter = await startExporting({ ...parts, ...recorders });
    if (options.console !== undefined) {
      const askNameServer = (code: number) => {
        const [first] = (config.namesrvAddr ?? "").split(";");
        return first === "" ? Promise.reject(new Error("no NameServer")) : ask(first, code, {}, undefined, ASK_MS);
      };
      const users = auth.decisions === undefined ? undefined : auth.tables;
      page = await startConsole({ ...parts, rows, askNameServer }, options.console, disk, users);
    }
  } catch (error) {
    master.stop();
    await Promise.all([server.close(), fast.close(), grpc?.close(), exporter?.close()]);
    ownTls?.close();
    await auth.stop();
    timers?.abandon();
    await store.close();
    throw error;
  }
  store.storeHost = hostBytes(ip, config.listenPort);
  // Ids of messages name the address by which they can be asked for (Apache's keep the one of the start).
  registration.onAddress(() => {
    resolve(config.brokerIP1).then(
      (moved) => {
        store.storeHost = hostBytes(moved, config.listenPort);
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
  if (slave === undefined) {
    schedule.start();
    checks.start();
    timers?.start();
  } else slave.start();
  // Who has no master yet is nobody's slave: NameServers hear of it when it follows one.
  if (controlled === undefined || switched !== undefined) await registration.start();

  return {
    address: advertised(),
    port: config.listenPort,
    grpcPort: grpc?.port,
    metricsPort: exporter?.port,
    consolePort: page?.port,
    master: switched,
    get logEnd() {
      return store.maxLogOffset();
    },
    get confirmOffset() {
      return switched?.confirmOffset ?? slave?.confirmOffset ?? 0;
    },
    follow(masterAddress) {
      slave?.follow(masterAddress);
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
        () => slave?.stop(),
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

/** The IP address of brokerIP1, which may be a host name. */
async function resolve(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new Error(`brokerIP1=${host} cannot be resolved: ${(error as Error).message}`);
  }
}
