/**
 * The facts of a machine that defaults depend on. They are handed in: nothing here asks the operating system.
 * A symbolic default is text with `${user.home}`, `${rocketmq.home}`, `${host.name}`, `${host.address}`, `${cpu*A+B}` or
 * `${min(cpu,N)}` in it.
 */

export interface Machine {
  /** Java's user.home: where an Apache broker keeps `store` when nothing else is said. */
  readonly userHome: string;
  /** ROCKETMQ_HOME. */
  readonly rocketmqHome: string;
  readonly hostName: string;
  /** The address that others reach this machine by, without a port. */
  readonly hostAddress: string;
  readonly cpuCount: number;
}

/** A machine that nobody else reaches, for tests and embedded use: files go below the working directory. */
export const LOOPBACK_MACHINE: Machine = {
  userHome: ".",
  rocketmqHome: ".",
  hostName: "localhost",
  hostAddress: "127.0.0.1",
  cpuCount: 1,
};

/** `text` with every `${...}` replaced. Throws on an expression that the dumper does not write. */
export function resolveDefault(text: string, machine: Machine): string {
  return text.replace(/\$\{([^}]*)\}/g, (_, expression: string) => evaluate(expression, machine));
}

function evaluate(expression: string, machine: Machine): string {
  switch (expression) {
    case "user.home":
      return machine.userHome;
    case "rocketmq.home":
      return machine.rocketmqHome;
    case "host.name":
      return machine.hostName;
    case "host.address":
      return machine.hostAddress;
  }
  const atMost = /^min\(cpu,(\d+)\)$/.exec(expression);
  if (atMost !== null) return String(Math.min(machine.cpuCount, Number(atMost[1])));
  const linear = /^cpu(?:\*(\d+))?(?:\+(\d+))?$/.exec(expression);
  if (linear !== null) return String(machine.cpuCount * Number(linear[1] ?? 1) + Number(linear[2] ?? 0));
  throw new Error(`unknown expression in a default: ${expression}`);
}
