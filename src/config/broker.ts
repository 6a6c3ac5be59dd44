/**
 * The broker's configuration: every option of Apache's BrokerConfig, MessageStoreConfig, NettyServerConfig, NettyClientConfig
 * and AuthConfig. Mirrors BrokerStartup, with its corrections (a master has brokerId 0, HA listens one port above).
 */
import { BROKER_HELP } from "./brokerHelp.ts";
import { checkAddresses, checkPorts, checkPositive, isPort } from "./checks.ts";
import { type Configuration, type Loaded, load, SECRET_KEYS, type Updated, update } from "./config.ts";
import { BROKER_OPTIONS, type BrokerOptions } from "./generated/brokerOptions.ts";
import { LOOPBACK_MACHINE, type Machine } from "./machine.ts";
import { ConfigError } from "./option.ts";
import { findOption, optionTable } from "./table.ts";
import { TLS_KEYS } from "./tls.ts";

export type BrokerConfig = Configuration<BrokerOptions>;

/** BrokerStartup.configFileToConfigContext sets both ports before it reads the file; HA port 0 means listenPort + 1. */
const STARTUP_DEFAULTS = { listenPort: "10911", haListenPort: "0" };

export const BROKER_TABLE = optionTable(BROKER_OPTIONS, STARTUP_DEFAULTS, BROKER_HELP, ["AuthConfig"]);

/**
 * The configuration of a broker from the entries of a broker.conf (flags already merged in).
 * @throws ConfigError naming every wrong value.
 */
export function loadBrokerConfig(
  entries: ReadonlyMap<string, string>,
  machine: Machine = LOOPBACK_MACHINE,
): Loaded<BrokerOptions> {
  const { config, warnings } = load<BrokerOptions>(BROKER_TABLE, entries, machine);
  correct(config, warnings);
  const problems = check(config);
  if (problems.length > 0) throw new ConfigError(problems);
  return { config, warnings };
}

/** A change by `mqadmin updateBrokerConfig`. Refuses wrong values as a whole; see {@link update}. @throws ConfigError */
export function updateBrokerConfig(config: BrokerConfig, entries: ReadonlyMap<string, string>): Updated {
  const trial: BrokerConfig = { ...config, given: new Map(config.given), pending: new Map(config.pending) };
  update(BROKER_TABLE, trial, entries);
  const problems = check(trial);
  if (problems.length > 0) throw new ConfigError(problems);
  return update(BROKER_TABLE, config, entries);
}

/** Keys that `mqadmin updateBrokerConfig` may not touch (AdminBrokerProcessor.initConfigBlackList), those of TLS, and passwords. */
export function forbiddenBrokerKeys(config: BrokerConfig): Set<string> {
  return new Set([
    "brokerConfigPath",
    "rocketmqHome",
    "configBlackList",
    ...TLS_KEYS,
    ...SECRET_KEYS,
    ...config.configBlackList.split(";"),
  ]);
}

/** How an option is spelled here, whichever of its spellings was written; an unknown one stays as it is. */
export function brokerKey(written: string): string {
  return findOption(BROKER_TABLE, written)?.key ?? written;
}

/** Whether an option names files or directories, which no request may choose. */
export function namesFiles(key: string): boolean {
  return /^storePath|Path$|Paths$|^rocketmqHome$/.test(brokerKey(key));
}

const QUEUE_UNIT_BYTES = 20;

/** Bytes of a ConsumeQueue file: whole units, rounded up (MessageStoreConfig.getMappedFileSizeConsumeQueue). */
export function consumeQueueFileBytes(config: BrokerConfig): number {
  return Math.ceil(config.mappedFileSizeConsumeQueue / QUEUE_UNIT_BYTES) * QUEUE_UNIT_BYTES;
}

function correct(config: BrokerConfig, warnings: string[]): void {
  if (config.brokerRole !== "SLAVE" && !config.enableControllerMode && config.brokerId !== 0) {
    warnings.push(
      `brokerId=${config.brokerId} has no effect: a broker with brokerRole=${config.brokerRole} has brokerId 0`,
    );
    config.brokerId = 0;
  }
  if (config.haListenPort <= 0) config.haListenPort = isPort(config.listenPort) ? config.listenPort + 1 : 0;
  config.bitMapLengthConsumeQueueExt = bloomFilterBits(
    config.expectConsumerNumUseFilter,
    config.maxErrorRateOfBloomFilter,
  );
  config.timerPrecisionMs = [1000, 500, 200].find((step) => config.timerPrecisionMs >= step) ?? 100;
}

/** Apache's ConsumerFilterManager overrides the option by the size of its Bloom filter, in whole bytes, at every start. */
function bloomFilterBits(expected: number, errorPercent: number): number {
  return 8 * Math.ceil(Math.ceil(expected * Math.log2(100 / errorPercent) * Math.LOG2E) / 8);
}

/** What Apache offers under a Controller and this broker does not; each would silently promise less. */
function checkController(config: BrokerConfig): string[] {
  const problems = checkAddresses("controllerAddr", config.controllerAddr);
  if (config.controllerAddr.trim() === "") problems.push("controllerAddr=: enableControllerMode needs Controllers");
  if (config.minInSyncReplicas > 1) {
    problems.push(
      `minInSyncReplicas=${config.minInSyncReplicas}: sends are not refused by the number of brokers in sync in this version; use inSyncReplicas or allAckInSyncStateSet`,
    );
  }
  if (config.fetchControllerAddrByDnsLookup) {
    problems.push("fetchControllerAddrByDnsLookup=true: Controllers are named in controllerAddr in this version");
  }
  if (config.enableDLegerCommitLog) {
    problems.push("The config enableControllerMode and enableDLegerCommitLog cannot both be true.");
  }
  return problems;
}

function check(config: BrokerConfig): string[] {
  const problems = [
    ...checkPorts(config, ["listenPort", "haListenPort", "metricsPromExporterPort"]),
    ...checkPositive(config, [
      "mappedFileSizeCommitLog",
      "mappedFileSizeConsumeQueue",
      "maxMessageSize",
      "maxHashSlotNum",
      "maxIndexNum",
      "defaultTopicQueueNums",
      "registerNameServerPeriod",
      "flushConsumerOffsetInterval",
    ]),
    ...checkAddresses("namesrvAddr", config.namesrvAddr),
    ...(config.enableControllerMode ? checkController(config) : []),
  ];
  if (config.brokerRole === "SLAVE" && !config.enableControllerMode && config.brokerId <= 0) {
    problems.push(`brokerId=${config.brokerId}: a broker with brokerRole=SLAVE needs a brokerId above 0`);
  }
  if (config.brokerName.trim() === "") problems.push("brokerName=: must not be empty");
  if (config.brokerClusterName.trim() === "") problems.push("brokerClusterName=: must not be empty");
  return problems;
}
