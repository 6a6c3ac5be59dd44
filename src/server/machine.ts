/** What this machine tells about itself, for defaults of options: the one place that asks the operating system. */
import { availableParallelism, homedir, hostname, networkInterfaces, totalmem } from "node:os";
import type { Machine } from "../config/index.ts";

/** Facts of the machine; `bind` is where the server will listen. */
export function thisMachine(bind: string): Machine {
  return {
    userHome: homedir(),
    rocketmqHome: process.env.ROCKETMQ_HOME ?? homedir(),
    hostName: hostname(),
    hostAddress: isWildcard(bind) ? outwardAddress() : bind,
    cpuCount: availableParallelism(),
  };
}

/** Memory this process may use: the machine's, or what its container leaves of it. */
export function memoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

export function isWildcard(bind: string): boolean {
  return bind === "0.0.0.0" || bind === "::";
}

/** Whether nobody on another machine reaches what listens there. */
export function isLoopback(bind: string): boolean {
  return bind === "localhost" || bind === "::1" || bind.startsWith("127.");
}

/** The first address that is not loopback, IPv4 before IPv6 (RemotingUtil.getLocalAddress of Apache). */
function outwardAddress(): string {
  const outward = Object.values(networkInterfaces())
    .flat()
    .filter((one) => one !== undefined && !one.internal);
  const v4 = outward.find((one) => one?.family === "IPv4");
  const v6 = outward.find((one) => one?.family === "IPv6" && !one.address.startsWith("fe80"));
  return (v4 ?? v6)?.address ?? "127.0.0.1";
}
