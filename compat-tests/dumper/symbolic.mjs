// Turns the defaults of one machine into defaults of any machine: ${user.home}, ${host.name}, ${cpu*2+16} and the like.
// A default that changes with the number of processors must fit one of the two shapes below, or the dump fails.

const token = (expression) => `\${${expression}}`;

const TOKENS = [
  ["rocketmqHome", token("rocketmq.home")],
  ["userHome", token("user.home")],
];

/** Only a whole value is a host: a short host name may well occur inside another word. */
const WHOLE_VALUE_TOKENS = [
  ["hostName", token("host.name")],
  ["hostAddress", token("host.address")],
];

/**
 * @param {{ machine: Record<string, string | number>, value: string | null }[]} samples one option's default on machines that differ
 *   only in their number of processors.
 * @returns {string | null} the symbolic default.
 */
export function symbolicDefault(samples) {
  const [{ machine, value }] = samples;
  if (value === null) return null;
  if (samples.every((sample) => sample.value === value)) {
    for (const [fact, token] of WHOLE_VALUE_TOKENS) if (value === machine[fact]) return token;
    return TOKENS.reduce((text, [fact, token]) => text.replaceAll(machine[fact], token), value);
  }
  return processorFormula(samples.map((sample) => [Number(sample.machine.cpuCount), Number(sample.value)]));
}

/** @param {[number, number][]} points processors and value, by rising processors, the first two one apart. */
function processorFormula(points) {
  const perProcessor = points[1][1] - points[0][1];
  const base = points[0][1] - perProcessor * points[0][0];
  if (points.every(([cpu, value]) => value === base + perProcessor * cpu)) {
    const product = perProcessor === 1 ? "cpu" : `cpu*${perProcessor}`;
    return base === 0 ? token(product) : token(`${product}+${base}`);
  }
  const most = points.at(-1)[1];
  if (points.every(([cpu, value]) => value === Math.min(cpu, most))) return token(`min(cpu,${most})`);
  throw new Error(`no formula for a default that depends on the number of processors: ${JSON.stringify(points)}`);
}
