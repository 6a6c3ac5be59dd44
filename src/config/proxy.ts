/**
 * The configuration of the 5.x gRPC protocol: every option of Apache's ProxyConfig, and of its AuthConfig, from one file like
 * rmq-proxy.json. Mirrors ConfigurationManager of Apache's proxy.
 */
import { BROKER_HELP } from "./brokerHelp.ts";
import { checkPorts, checkPositive } from "./checks.ts";
import { type Configuration, type Loaded, load } from "./config.ts";
import { BROKER_OPTIONS, type BrokerOptions } from "./generated/brokerOptions.ts";
import { PROXY_OPTIONS, type ProxyOptions } from "./generated/proxyOptions.ts";
import { LOOPBACK_MACHINE, type Machine } from "./machine.ts";
import { type ApacheOption, ConfigError, type Help } from "./option.ts";
import { PROXY_HELP } from "./proxyHelp.ts";
import { optionTable } from "./table.ts";

/** What a proxy of its own acts on of AuthConfig; initial users are made by brokers. */
const AUTH_KEYS = [
  "authenticationEnabled",
  "authorizationEnabled",
  "authenticationWhitelist",
  "authorizationWhitelist",
  "authenticationProvider",
  "authenticationMetadataProvider",
  "authenticationStrategy",
  "authorizationProvider",
  "authorizationMetadataProvider",
  "authorizationStrategy",
  "innerClientAuthenticationCredentials",
] as const satisfies readonly (keyof BrokerOptions)[];

type AllProxyOptions = ProxyOptions & Pick<BrokerOptions, (typeof AUTH_KEYS)[number]>;
type Key = keyof AllProxyOptions;

export type ProxyConfig = Configuration<AllProxyOptions>;

const AUTH_OPTIONS = BROKER_OPTIONS.filter(({ apache }) => apache === "AuthConfig") as unknown as ApacheOption<Key>[];
const AUTH_HELP: Partial<Record<Key, Help>> = Object.fromEntries(AUTH_KEYS.map((key) => [key, BROKER_HELP[key]]));

export const PROXY_TABLE = optionTable<Key>([...PROXY_OPTIONS, ...AUTH_OPTIONS], {}, { ...PROXY_HELP, ...AUTH_HELP }, [
  "AuthConfig",
]);

/** The configuration of a proxy from the entries of its file. @throws ConfigError naming every wrong value. */
export function loadProxyConfig(
  entries: ReadonlyMap<string, string>,
  machine: Machine = LOOPBACK_MACHINE,
): Loaded<AllProxyOptions> {
  const loaded = load<AllProxyOptions>(PROXY_TABLE, entries, machine);
  const problems = [
    ...checkPorts(loaded.config, ["grpcServerPort"]),
    ...checkPositive(loaded.config, [
      "grpcMaxInboundMessageSize",
      "grpcClientIdleTimeMills",
      "grpcClientConsumerMaxLongPollingTimeoutMillis",
      "renewSchedulePeriodMillis",
      "userCacheMaxNum",
      "aclCacheMaxNum",
    ]),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
  return loaded;
}

/** The entries of rmq-proxy.json: one flat object of texts, numbers and booleans. @throws ConfigError */
export function parseProxyJson(text: string): Map<string, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ConfigError([`the proxy's configuration is no JSON: ${(error as Error).message}`]);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ConfigError(["the proxy's configuration is no JSON object"]);
  }
  const entries = new Map<string, string>();
  const problems: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    if (value === null) continue;
    if (typeof value === "object") problems.push(`${key}: neither text nor number nor boolean`);
    else entries.set(key, String(value));
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return entries;
}
