/**
 * What a broker is made of, wired and at rest (Apache: the constructor of BrokerController).
 */
import { lookup } from "node:dns/promises";
import * as path from "node:path";
import { hostBytes } from "../base/host.ts";
import { BroadcastOffsets } from "../broker/broadcastOffsets.ts";
import { Clients } from "../broker/clients.ts";
import { ConsumerFilters } from "../broker/consumerFilters.ts";
import { Counters } from "../broker/counters.ts";
import type { DeclaredTopic } from "../broker/declaredTopics.ts";
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
import { type BrokerConfig, loadLimits, type ProxyConfig } from "../config/index.ts";
import { AutoSwitchMaster } from "../ha/autoSwitch/autoSwitchMaster.ts";
import type { EpochFile } from "../ha/autoSwitch/epochFile.ts";
import { HaMaster } from "../ha/haMaster.ts";
import type { ControllerView } from "../handlers/ha.ts";
import type { ConfigFile } from "../handlers/parts.ts";
import { slaveRows } from "../handlers/slave.ts";
import { brokerRows } from "../handlers/table.ts";
import { UNSUPPORTED } from "../handlers/unsupported.ts";
import { BrokerStats } from "../metrics/brokerStats.ts";
import { Admission } from "../remoting/admission.ts";
import { RemotingClient } from "../remoting/client.ts";
import { RemotingServer } from "../remoting/server.ts";
import { MessageStore } from "../store/messageStore.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { openAuth } from "./auth.ts";
import type { ConsoleSettings } from "./console.ts";
import { memoryBytes } from "./machine.ts";
import { makeRecorders } from "./metrics.ts";
import type { Runtime } from "./runtime.ts";
import { type ControlledSlave, Slave } from "./slave.ts";
import { openTls, type Tls } from "./tls.ts";

export interface BrokerServerOptions {
  config: BrokerConfig;
  bind: string;
  /** TLS of the process; absent: as the configuration says. */
  tls?: Tls;
  /** Where `mqadmin updateBrokerConfig` is kept: a file, or who takes its text; without it changes last until the stop. */
  configFile?: string | ConfigFile | undefined;
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

export type Broker = Awaited<ReturnType<typeof openBroker>>;

/**
 * Nothing of it listens yet, and the store is not read before it is started.
 * @throws Error when brokerIP1 cannot be resolved; ConfigError for access control or TLS that cannot be as configured
 */
export async function openBroker(runtime: Runtime, options: BrokerServerOptions) {
  const { clock, random, turn, log, disk } = runtime;
  const { config, bind, controlled } = options;
  const root = config.storePathRootDir;
  const metadata = (name: string, waitFor?: () => Promise<void>) =>
    new MetadataFile(disk, path.join(root, "config", name), waitFor);
  const advertised = () => `${config.brokerIP1}:${config.listenPort}`;
  const ip = await ipOf(config.brokerIP1);
  const limits = loadLimits(config.given);
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
  const topics = new Topics(config, metadata("topics.json"), clock, log, limits);
  const groups = new Groups(config, metadata("subscriptionGroup.json"), clock, log, limits);
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
  /** Made when the store is open, of a slave only. */
  const role: { slave: Slave | undefined } = { slave: undefined };
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
    configFile:
      typeof options.configFile === "string" ? new MetadataFile(disk, options.configFile) : options.configFile,
    memoryBytes: memoryBytes(),
    ha: { slaves: () => master.slaves(), master: () => role.slave?.state() },
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
    admission: new Admission(limits),
    rpc: recorders?.metrics.rpc,
  };
  const server = new RemotingServer(listener);
  const fast = new RemotingServer({ ...listener, fast: true });
  return {
    parts,
    rows,
    role,
    isSlave,
    master,
    /** The master under a Controller; undefined in every other role. */
    switched,
    auth,
    tls,
    /** Closed with this broker; undefined where the process lent its own. */
    ownTls,
    timers,
    checks,
    recorders,
    client,
    ask,
    server,
    fast,
    ip,
    /** The store must be open. */
    makeSlave: () =>
      new Slave({
        ...parts,
        auth: auth.tables,
        disk,
        timerMetricsFile: metadata("timermetrics"),
        request: ask,
        controlled,
      }),
  };
}

/** The IP address of brokerIP1, which may be a host name. */
export async function ipOf(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new Error(`brokerIP1=${host} cannot be resolved: ${(error as Error).message}`);
  }
}
