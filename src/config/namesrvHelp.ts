/** The NameServer options that Skylark acts on; see brokerHelp.ts. */
import type { NamesrvOptions } from "./generated/namesrvOptions.ts";
import type { Help } from "./option.ts";

/** Acts at once when changed by `mqadmin updateNamesrvConfig`. */
const live = (help: string): Help => ({ help, reloadable: true });
/** Acts at the next start. */
const fixed = (help: string): Help => ({ help, reloadable: false });

export const NAMESRV_HELP: Partial<Record<keyof NamesrvOptions, Help>> = {
  listenPort: fixed("Port for brokers and clients"),
  bindAddress: fixed("Local address to listen on"),
  kvConfigPath: fixed("File of the key-value configuration"),
  configStorePath: fixed("File that mqadmin updateNamesrvConfig writes to"),
  configBlackList: fixed("Keys that mqadmin may not change, separated by semicolons"),
  orderMessageEnable: live("Add the order configuration of a topic to its route"),
  returnOrderTopicConfigToBroker: live("Answer a registration with all order configurations"),
  enableAllTopicList: live("Answer requests for the list of all topics"),
  enableTopicList: live("Answer requests for the topics of a cluster and the unit topics"),
  scanNotActiveBrokerInterval: fixed("Milliseconds between looks for silent brokers"),
  notifyMinBrokerIdChanged: live("Tell brokers of a group when its lowest brokerId changes"),
  supportActingMaster: live("Let a slave stand in for a master that is gone"),
  deleteTopicWithBrokerRegistration: live("Remove a broker's topics that its registration does not name"),
  needWaitForService: fixed("Answer route requests only some time after the start"),
  waitSecondsForService: fixed("Seconds of that time"),
  unRegisterBrokerQueueCapacity: fixed("Brokers that may wait to be removed together"),
  serverChannelMaxIdleTimeSeconds: fixed("Seconds after which a silent connection is closed"),
  useTLS: fixed("Speak TLS with brokers; unset: tls.enable, or else whether tls.server.mode is enforcing"),
  serverSocketBacklog: fixed("Connections that may wait to be accepted"),
};
