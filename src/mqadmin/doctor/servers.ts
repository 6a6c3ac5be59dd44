/**
 * NameServers and brokers as they look from here: whether they answer, whether their addresses can be reached, and what in a
 * broker's figures and options users trip over.
 */
import type { Admin } from "../admin.ts";
import { error, type Finding, fine, warning } from "./finding.ts";

export type ServerQuestions = Pick<Admin, "nameServers" | "clusterInfo" | "runtimeStats" | "brokerConfig" | "ask">;

export interface Surroundings {
  readonly servers: ServerQuestions;
  /** ms of this machine's wall clock */
  now(): number;
  /** Addresses of a host name. Rejects when it has none. */
  lookup(host: string): Promise<string>;
  /** Files that a process of this shell may open; undefined when that cannot be told. */
  openFilesMax(): number | undefined;
}

/** Clients and brokers compare times: delays, timers, retention. */
const SKEW_MS = 5_000;
/** A store holds up to 512 files, every client is one more. */
const OPEN_FILES_MIN = 65_536;
const DISK_FULL = 0.9;
/** diskMaxUsedSpaceRatio of a broker that does not say, percent. */
const DISK_RATIO_PERCENT = 75;
const READ_AND_WRITE = 6;

/** Each NameServer, and what it knows. */
export async function nameServerFindings({ servers }: Surroundings): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const address of servers.nameServers) {
    try {
      await servers.ask(address, "GET_BROKER_CLUSTER_INFO", {});
      findings.push(fine(`NameServer ${address} answers`));
    } catch (failure) {
      findings.push(
        error(
          `NameServer ${address} does not answer: ${(failure as Error).message}`,
          "is it started, and is the port right? NAMESRV_ADDR or -n must name what clients can reach from where they run",
        ),
      );
    }
  }
  if (findings.length === 0) {
    findings.push(error("no NameServer is named", "give -n host:port, or set NAMESRV_ADDR"));
  }
  return findings;
}

/** Every broker that the NameServers know; asks each by the address that clients are told. */
export async function brokerFindings(around: Surroundings): Promise<Finding[]> {
  const { brokerAddrTable } = await around.servers.clusterInfo();
  if (brokerAddrTable.size === 0) {
    return [
      error(
        "no broker is registered",
        "start one with namesrvAddr (or -n) naming this NameServer; it registers within 30 s",
      ),
    ];
  }
  const findings: Finding[] = [];
  const nameServersAreNear = around.servers.nameServers.every((address) => isLoopback(hostOf(address)));
  for (const [brokerName, { brokerAddrs }] of brokerAddrTable) {
    if (!brokerAddrs.has(0)) {
      findings.push(
        error(
          `broker ${brokerName} has no master: nobody can send to it`,
          "start its master, or restart a slave with brokerRole=ASYNC_MASTER and brokerId=0",
        ),
      );
    }
    for (const [id, address] of brokerAddrs) {
      const name = `broker ${brokerName} (${id === 0 ? "master" : `slave ${id}`})`;
      findings.push(...(await addressFindings(around, name, address, nameServersAreNear)));
    }
  }
  return findings;
}

async function addressFindings(
  around: Surroundings,
  name: string,
  address: string,
  nameServersAreNear: boolean,
): Promise<Finding[]> {
  const { servers } = around;
  const host = hostOf(address);
  try {
    await around.lookup(host);
  } catch {
    return [
      error(
        `${name} is advertised as ${address}, and ${host} is no name that can be resolved here`,
        `set brokerIP1 to an address that clients know, or make ${host} known to them (DNS, /etc/hosts)`,
      ),
    ];
  }
  let stats: Map<string, string>;
  try {
    stats = await servers.runtimeStats(address);
  } catch (failure) {
    const { code, remark } = failure as { code?: number; remark?: string };
    if (code !== undefined) return [refused(name, address, remark ?? "")];
    return [
      error(
        `${name} is advertised as ${address}, which cannot be reached from here: ${(failure as Error).message}`,
        `set brokerIP1 to the address by which clients reach the broker (in a container: the host's), publish the port as it is advertised, or change both: mqadmin updateBrokerConfig -b HOST:PORT -k brokerIP1 -v HOST`,
      ),
    ];
  }
  const findings = [fine(`${name} answers at ${address}`)];
  if (isLoopback(host) && !nameServersAreNear) {
    findings.push(
      warning(
        `${name} is advertised as ${address}: clients on other machines will look for it on themselves`,
        "set brokerIP1 to an address of the broker's machine",
      ),
    );
  }
  const config = await servers.brokerConfig(address).catch(() => new Map<string, string>());
  findings.push(...clockFindings(name, stats, around.now()));
  findings.push(...diskFindings(name, stats, config));
  findings.push(...permissionFindings(name, address, config));
  return findings;
}

function refused(name: string, address: string, reason: string): Finding {
  return error(
    `${name} at ${address} refuses to be asked: ${reason}`,
    "with access control on, only users with the right to do so may ask: give accessKey and secretKey of one in $ROCKETMQ_HOME/conf/tools.yml, or in --tools <file>",
  );
}

/** A broker does not say what time it is, but when it started and how long ago, to the second. */
function clockFindings(name: string, stats: ReadonlyMap<string, string>, now: number): Finding[] {
  const started = Number(stats.get("bootTimestamp"));
  const ran = /(\d+) days, (\d+) hours, (\d+) minutes, (\d+) seconds/.exec(stats.get("runtime") ?? "");
  if (!(started > 0) || ran === null) return [];
  const [days, hours, minutes, seconds] = ran.slice(1).map(Number);
  const skewMs = started + (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 - now;
  if (Math.abs(skewMs) <= SKEW_MS) return [fine(`${name}: its clock agrees with this machine's`)];
  const seconds_ = Math.round(Math.abs(skewMs) / 1000);
  return [
    warning(
      `${name}: its clock is about ${seconds_} s ${skewMs > 0 ? "ahead of" : "behind"} this machine's`,
      "keep both in step (chrony, ntpd): delays, timers and times shown depend on it",
    ),
  ];
}

function diskFindings(
  name: string,
  stats: ReadonlyMap<string, string>,
  config: ReadonlyMap<string, string>,
): Finding[] {
  const used = Number(stats.get("commitLogDiskRatio"));
  if (!(used >= 0)) return [];
  const limit = Number(config.get("diskMaxUsedSpaceRatio") ?? DISK_RATIO_PERCENT) / 100;
  const percent = `${Math.round(used * 100)} %`;
  const remedy =
    "give the store a larger disk, or keep less: lower fileReservedTime (hours); clean what else lies on that disk";
  if (used >= DISK_FULL) {
    return [error(`${name}: its disk is ${percent} full: it refuses messages, or is about to`, remedy)];
  }
  if (used >= limit) {
    return [warning(`${name}: its disk is ${percent} full: above diskMaxUsedSpaceRatio old messages go early`, remedy)];
  }
  return [fine(`${name}: its disk is ${percent} full`)];
}

function permissionFindings(name: string, address: string, config: ReadonlyMap<string, string>): Finding[] {
  const permission = Number(config.get("brokerPermission") ?? READ_AND_WRITE);
  if (permission === READ_AND_WRITE) return [];
  const what = permission === 2 ? "nobody can consume from it" : permission === 4 ? "nobody can send to it" : "closed";
  return [
    error(
      `${name}: brokerPermission is ${permission}: ${what}`,
      `mqadmin updateBrokerConfig -b ${address} -k brokerPermission -v 6`,
    ),
  ];
}

/** What this machine gives processes, if a broker runs here. */
export function machineFindings({ openFilesMax }: Surroundings): Finding[] {
  const files = openFilesMax();
  if (files === undefined) return [];
  if (files >= OPEN_FILES_MIN) return [fine(`a process of this shell may open ${files} files`)];
  return [
    warning(
      `a process of this shell may open only ${files} files: a broker started so takes fewer clients than it could`,
      `ulimit -n ${OPEN_FILES_MIN} before starting the broker (LimitNOFILE= in systemd, --ulimit nofile= in Docker)`,
    ),
  ];
}

export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
