/**
 * Access control of the gRPC port in front of shards: broker.conf decides for it, too, as in a broker's own process. Users and
 * rights are the shards'; the proxy asks them, signed with innerClientAuthenticationCredentials.
 */
import { type BrokerConfig, ConfigError, type ProxyConfig } from "../../config/index.ts";

/** What both sides of the proxy must know alike; where users are kept is the brokers' business alone. */
const SHARED = [
  "authenticationEnabled",
  "authorizationEnabled",
  "authenticationWhitelist",
  "authorizationWhitelist",
  "authenticationProvider",
  "authenticationStrategy",
  "authorizationProvider",
  "authorizationStrategy",
  "innerClientAuthenticationCredentials",
] as const;

/**
 * Gives the proxy the rules of broker.conf.
 * @throws ConfigError when only one of the two files has access control: whichever was meant, the other port would be open or closed
 *   by mistake
 */
export function takeOverRules(broker: BrokerConfig, grpc: ProxyConfig): void {
  const isOn = broker.authenticationEnabled || broker.authorizationEnabled;
  if (!isOn && (grpc.authenticationEnabled || grpc.authorizationEnabled)) {
    throw new ConfigError([
      "authenticationEnabled and authorizationEnabled in the proxy's file are for a proxy of its own: with --shards set them in broker.conf, for both protocols",
    ]);
  }
  if (!isOn) return;
  for (const key of SHARED) copy(key, broker, grpc);
  grpc.enableAclRpcHookForClusterMode = true;
}

function copy<Key extends (typeof SHARED)[number]>(
  key: Key,
  from: Pick<BrokerConfig, Key>,
  to: Pick<BrokerConfig, Key>,
): void {
  to[key] = from[key];
}
