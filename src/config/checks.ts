/** Value checks that go beyond an option's type. Each returns the problems it finds, worded for the operator. */

const PORT_MAX = 65_535;

/** Whether `port` is one that can be listened on by its number. */
export function isPort(port: number): boolean {
  return port > 0 && port <= PORT_MAX;
}

/** Ports may be 0 (any free port). */
export function checkPorts<C extends object>(config: C, keys: readonly (keyof C & string)[]): string[] {
  return keys
    .filter((key) => Number(config[key]) < 0 || Number(config[key]) > PORT_MAX)
    .map((key) => `${key}=${config[key]}: not a port (0 to ${PORT_MAX})`);
}

export function checkPositive<C extends object>(config: C, keys: readonly (keyof C & string)[]): string[] {
  return keys.filter((key) => Number(config[key]) <= 0).map((key) => `${key}=${config[key]}: must be above 0`);
}

/** A list of `host:port` separated by semicolons, as namesrvAddr has it; IPv6 hosts in brackets or bare. */
export function checkAddresses(key: string, text: string | undefined): string[] {
  if (text === undefined || text.trim() === "") return [];
  return text
    .split(";")
    .filter((address) => {
      const port = /^.+:(\d{1,5})$/.exec(address.trim())?.[1];
      return address.trim() !== "" && !isPort(Number(port));
    })
    .map((address) => `${key}: "${address}" is not host:port (expected such as 127.0.0.1:9876;192.168.0.1:9876)`);
}
