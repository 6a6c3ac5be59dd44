/**
 * What each broker process of `skylark start --shards N` is: its name, directory and ports, from one configuration for all of
 * them. Pure. Refuses what shards would share and must not. Apache has nothing like it: its brokers are configured one by one.
 */
import { type BrokerConfig, brokerKey, ConfigError } from "../../config/index.ts";
import type { ConsoleSettings } from "../console.ts";

/** More processes than this on one machine are a typing error. */
export const SHARDS_MAX = 64;
/** Ports of two shards are this far apart: each takes its listenPort, the fast port two below and the HA port one above. */
export const PORT_STEP = 10;
const FAST_PORT_OFFSET = 2;
const PORT_MAX = 65_535;

/** One broker process. */
export interface ShardPlan {
  readonly name: string;
  readonly listenPort: number;
  readonly storePathRootDir: string;
  /** The entries of its broker.conf; only NameServers are missing, which may not listen yet. */
  readonly entries: ReadonlyMap<string, string>;
  readonly console: ConsoleSettings | undefined;
}

/** Ports that others on this machine take, by what they are. */
export type OtherPorts = readonly (readonly [what: string, port: number])[];

/** Options that say which shard it is: what `mqadmin updateBrokerConfig` changes of them ends with the process. */
export const PLACEMENT_KEYS: ReadonlySet<string> = new Set([
  "brokerName",
  "listenPort",
  "haListenPort",
  "storePathRootDir",
  "namesrvAddr",
  "metricsPromExporterPort",
]);

/** Options that name files of one broker. */
const ONE_BROKERS_FILES = ["storePathCommitLog", "storePathEpochFile", "storePathBrokerIdentity"];

/** @throws ConfigError when --shards is no number of processes */
export function parseShards(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > SHARDS_MAX) {
    throw new ConfigError([`--shards ${text}: not a number of processes from 1 to ${SHARDS_MAX}`]);
  }
  return count;
}

/**
 * Shard i of broker-a is broker-a-i, with its store in a directory of that name, at `listenPort + 10 i`; what else it listens on
 * moves along.
 * @param base the configuration that all share
 * @param console of the first one; the others' are one port further each
 * @throws ConfigError naming everything that cannot be
 */
export function planShards(
  count: number,
  base: BrokerConfig,
  console: ConsoleSettings | undefined,
  others: OtherPorts,
): ShardPlan[] {
  const problems = refusals(base);
  const plans = Array.from({ length: count }, (_, i) => planShard(i, base, console));
  problems.push(...collisions(plans, base, others));
  if (problems.length > 0) throw new ConfigError(problems);
  return plans;
}

/** How a shard's name begins with that of the whole. */
export function shardName(brokerName: string, index: number): string {
  return `${brokerName}-${index}`;
}

/** Of the names in the store directory, those that were shards of this broker and will not run. */
export function idleShards(names: readonly string[], brokerName: string, count: number): string[] {
  return names.filter((name) => {
    const number = name.startsWith(`${brokerName}-`) ? name.slice(brokerName.length + 1) : "";
    return /^(0|[1-9]\d*)$/.test(number) && Number(number) >= count;
  });
}

function planShard(index: number, base: BrokerConfig, console: ConsoleSettings | undefined): ShardPlan {
  const name = shardName(base.brokerName, index);
  const listenPort = base.listenPort + PORT_STEP * index;
  const storePathRootDir = `${base.storePathRootDir}/${name}`;
  const entries = new Map<string, string>();
  // By Apache's spelling, so that a change of an option finds it.
  for (const [key, value] of base.given) if (!PLACEMENT_KEYS.has(key)) entries.set(brokerKey(key), value);
  entries.set("brokerName", name);
  entries.set("listenPort", String(listenPort));
  entries.set("haListenPort", String(base.haListenPort + PORT_STEP * index));
  entries.set("storePathRootDir", storePathRootDir);
  if (base.metricsPromExporterPort > 0) {
    entries.set("metricsPromExporterPort", String(base.metricsPromExporterPort + index));
  }
  return { name, listenPort, storePathRootDir, entries, console: console && consoleOf(console, index) };
}

/** Port 0 is any free one, for each. */
function consoleOf(first: ConsoleSettings, index: number): ConsoleSettings {
  return { ...first, port: first.port === 0 ? 0 : first.port + index };
}

function refusals(base: BrokerConfig): string[] {
  const problems: string[] = [];
  if (base.brokerRole === "SLAVE") {
    problems.push("brokerRole=SLAVE: shards are masters; start a slave of each with bin/mqbroker");
  }
  if (base.enableControllerMode) {
    problems.push("enableControllerMode=true: shards do not join a Controller in this version; use bin/mqbroker");
  }
  if (base.listenPort === 0)
    problems.push("listenPort=0: shards need a port that is known, the others are counted from it");
  for (const key of ONE_BROKERS_FILES) {
    if (base.given.has(key))
      problems.push(`${key}: all shards would share it; leave it out, each has its own below storePathRootDir`);
  }
  return problems;
}

/** Whatever listens, on whichever address, has a port of its own. */
function collisions(plans: readonly ShardPlan[], base: BrokerConfig, others: OtherPorts): string[] {
  const taken = new Map<number, string>();
  const problems: string[] = [];
  const take = (what: string, port: number): void => {
    if (port <= 0) return;
    if (port > PORT_MAX) problems.push(`${what} would be port ${port}, the highest is ${PORT_MAX}`);
    const other = taken.get(port);
    if (other !== undefined) problems.push(`${what} and ${other} would both be port ${port}`);
    taken.set(port, what);
  };
  for (const [what, port] of others) take(what, port);
  for (const [index, { name, listenPort, console }] of plans.entries()) {
    take(`${name}'s listenPort`, listenPort);
    take(`${name}'s fast port`, listenPort - FAST_PORT_OFFSET);
    take(`${name}'s haListenPort`, base.haListenPort + PORT_STEP * index);
    // One that nobody asked for may be missing: its shard says so and goes on.
    if (console?.isGiven) take(`${name}'s console`, console.port);
    if (base.metricsExporterType === "PROM") take(`${name}'s metrics`, base.metricsPromExporterPort + index);
  }
  return problems;
}
