/**
 * Options from environment variables, as containers are told theirs: `ROCKETMQ_BROKER_<key>` and `ROCKETMQ_NAMESRV_<key>` take
 * any of Apache's keys to the letter, `ADVERTISED_HOST` is the broker's brokerIP1. They win over the configuration file,
 * flags win over them. What Apache's images take for their JVM is named once and means nothing here.
 */

type Environment = Readonly<Record<string, string | undefined>>;

export type Role = "BROKER" | "NAMESRV";

/** Variables of Apache's start scripts and images that size or tune a JVM. */
const JVM_VARIABLES = [
  "JAVA_OPT",
  "JAVA_OPT_EXT",
  "JAVA_OPTS",
  "MAX_POSSIBLE_HEAP",
  "MAX_HEAP_SIZE",
  "HEAP_NEWSIZE",
  "BROKER_MEM",
  "Xms",
  "Xmx",
  "Xmn",
];

/** The options of a server that the environment sets, by Apache's keys. */
export function environmentOptions(environment: Environment, role: Role): Map<string, string> {
  const options = new Map<string, string>();
  if (role === "BROKER" && environment.ADVERTISED_HOST) options.set("brokerIP1", environment.ADVERTISED_HOST);
  const prefix = `ROCKETMQ_${role}_`;
  for (const [name, value] of Object.entries(environment)) {
    if (name.startsWith(prefix) && value !== undefined) options.set(name.slice(prefix.length), value);
  }
  return options;
}

/**
 * One line that says which variables have no effect, if any do. JVM flags -Dtls.* have one (`loadTls` reads them): a variable
 * that holds nothing else is not named.
 */
export function jvmVariablesLine(environment: Environment): string | undefined {
  const idle = JVM_VARIABLES.filter((name) =>
    (environment[name] ?? "").split(/\s+/).some((word) => word !== "" && !/^["']?-Dtls\./.test(word)),
  );
  if (idle.length === 0) return undefined;
  return `${idle.join(", ")} ${idle.length === 1 ? "has" : "have"} no effect: there is no JVM (of its flags only -Dtls.* are read)`;
}
