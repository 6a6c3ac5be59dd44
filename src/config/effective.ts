/** The effective configuration as `mqadmin getBrokerConfig` and `getNamesrvConfig` show it. */
import { BROKER_TABLE, type BrokerConfig } from "./broker.ts";
import { print } from "./config.ts";
import { NAMESRV_TABLE, type NamesrvConfig } from "./namesrv.ts";

/** Every option as text, sorted by key; see {@link print}. `formatProperties` of it is the reply's body. */
export function effectiveConfig(config: BrokerConfig | NamesrvConfig): Map<string, string> {
  return "brokerName" in config ? print(BROKER_TABLE, config) : print(NAMESRV_TABLE, config);
}
