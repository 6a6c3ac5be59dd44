/** What the rest of the server may use of the configuration. */
export {
  BROKER_TABLE,
  type BrokerConfig,
  brokerKey,
  consumeQueueFileBytes,
  forbiddenBrokerKeys,
  loadBrokerConfig,
  namesFiles,
  updateBrokerConfig,
} from "./broker.ts";
export type { Configuration, Loaded, Provenance, Updated } from "./config.ts";
export { effectiveConfig } from "./effective.ts";
export { environmentOptions, jvmVariablesLine, type Role } from "./environment.ts";
export type { BrokerOptions } from "./generated/brokerOptions.ts";
export type { NamesrvOptions } from "./generated/namesrvOptions.ts";
export type { ProxyOptions } from "./generated/proxyOptions.ts";
export { loadLimits } from "./limits.ts";
export { LOOPBACK_MACHINE, type Machine } from "./machine.ts";
export {
  forbiddenNamesrvKeys,
  loadNamesrvConfig,
  NAMESRV_TABLE,
  type NamesrvConfig,
  updateNamesrvConfig,
} from "./namesrv.ts";
export { nearestKey } from "./nearest.ts";
export { ConfigError, type Option, type OptionType } from "./option.ts";
export { formatProperties, parseProperties } from "./properties.ts";
export { loadProxyConfig, PROXY_TABLE, type ProxyConfig, parseProxyJson } from "./proxy.ts";
export type { OptionTable } from "./table.ts";
export { javaProperties, loadTls, type TlsMode, type TlsSettings } from "./tls.ts";
