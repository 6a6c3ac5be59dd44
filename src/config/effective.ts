/** The effective configuration as `mqadmin getBrokerConfig` and `getNamesrvConfig` show it. */
import { BROKER_TABLE, type BrokerConfig } from "./broker.ts";
import { print } from "./config.ts";
import { NAMESRV_TABLE, type NamesrvConfig } from "./namesrv.ts";
import { PROXY_TABLE, type ProxyConfig } from "./proxy.ts";

/** Every option as text, sorted by key; see {@link print}. `formatProperties` of it is the reply's body. */
export function effectiveConfig(config: BrokerConfig | NamesrvConfig | ProxyConfig): Map<string, string> {
  if ("grpcServerPort" in config) return print(PROXY_TABLE, config);
  return "brokerName" in config ? print(BROKER_TABLE, config) : print(NAMESRV_TABLE, config);
}
