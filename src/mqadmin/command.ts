/** What a command of mqadmin is, and what it may use. */
import type { Buffer } from "node:buffer";
import type { Admin } from "./admin.ts";
import type { Given, Option } from "./commandLine.ts";

export interface Context {
  readonly admin: Admin;
  /** Writes to stdout. */
  print(text: string): void;
  /** Writes a failure to stderr, and goes on. */
  complain(error: unknown): void;
  /** Keeps a message's body in a file that can be looked at; its path. */
  saveBody(name: string, body: Buffer): string;
}

export interface Command {
  name: string;
  /** Apache's class: its name stands in front of every failure. */
  className: string;
  description: string;
  options: readonly Option[];
  /** Failures of sendMessage are a RuntimeException. */
  bareFailure?: boolean;
  /** @throws NothingNamed when no option says where */
  run(context: Context, given: Given): Promise<void>;
}

/** The options name nothing to do: the command's help is printed. */
export class NothingNamed extends Error {}

const NO_CLUSTER = "Make sure the specified clusterName exists or the name server connected to is correct.";

export interface MasterAndSlaves {
  /** Undefined while there is no master. */
  master: string | undefined;
  slaves: string[];
}

/** The brokers of a cluster by name; an unknown one is complained about and has none. */
export async function brokersOf({ admin, print }: Context, cluster: string): Promise<MasterAndSlaves[]> {
  const info = await admin.clusterInfo();
  const names = info.clusterAddrTable.get(cluster);
  if (names === undefined) {
    print(`[error] ${NO_CLUSTER}`);
    return [];
  }
  return [...names].sort().flatMap((name) => {
    const broker = info.brokerAddrTable.get(name);
    if (broker === undefined) return [];
    const slaves = [...broker.brokerAddrs].filter(([id]) => id !== 0).map(([, address]) => address);
    return [{ master: broker.brokerAddrs.get(0), slaves }];
  });
}

/** Addresses of the masters of a cluster. */
export async function mastersOf(context: Context, cluster: string): Promise<string[]> {
  return (await brokersOf(context, cluster)).map(({ master }) => master).filter((address) => address !== undefined);
}

/** Addresses of all brokers of a cluster. */
export async function membersOf(context: Context, cluster: string): Promise<string[]> {
  return (await brokersOf(context, cluster)).flatMap(({ master, slaves }) =>
    master === undefined ? slaves : [master, ...slaves],
  );
}

/** Names of the brokers of a cluster. @throws Error when there are none */
export async function brokerNamesOf({ admin }: Context, cluster: string): Promise<string[]> {
  const names = (await admin.clusterInfo()).clusterAddrTable.get(cluster) ?? [];
  if (names.length === 0) throw new Error(NO_CLUSTER);
  return [...names].sort();
}

/** The name of the broker at an address. @throws Error when no NameServer knows it */
export async function brokerNameAt({ admin }: Context, address: string): Promise<string> {
  for (const [name, broker] of (await admin.clusterInfo()).brokerAddrTable) {
    if ([...broker.brokerAddrs.values()].includes(address)) return name;
  }
  throw new Error(NO_CLUSTER);
}
