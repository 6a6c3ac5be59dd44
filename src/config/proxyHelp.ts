/** The options of the gRPC protocol that Skylark acts on; see brokerHelp.ts. All act at the next start. */
import type { ProxyOptions } from "./generated/proxyOptions.ts";
import type { Help } from "./option.ts";

const fixed = (help: string): Help => ({ help, reloadable: false });

export const PROXY_HELP: Partial<Record<keyof ProxyOptions, Help>> = {
  // Listener
  grpcServerPort: fixed("Port of the gRPC protocol, with and without TLS"),
  grpcMaxInboundMessageSize: fixed("Largest request in bytes"),
  grpcClientIdleTimeMills: fixed("Milliseconds after which a connection without calls is closed"),
  useEndpointPortFromRequest: fixed("Tell clients the port by which they came rather than grpcServerPort"),
  tlsTestModeEnable: fixed("Make a self-signed certificate at start; false: use tlsCertPath and tlsKeyPath"),
  tlsCertPath: fixed("File of the certificate chain, PEM"),
  tlsKeyPath: fixed("File of the private key, PEM"),
  tlsCertWatchIntervalMs: fixed("Milliseconds between looks whether those files have changed"),
  tlsKeyPassword: fixed("Password of the private key"),

  // A proxy of its own in front of a cluster
  proxyMode: fixed("CLUSTER: in front of brokers; LOCAL: with a broker in the same process"),
  namesrvAddr: fixed("NameServers, host:port;host:port"),
  rocketMQClusterName: fixed("Cluster whose brokers are asked about groups"),
  channelExpiredTimeout: fixed("Milliseconds without a heartbeat after which a proxy's consumer is gone"),
  topicRouteServiceCacheRefreshSeconds: fixed("Age in seconds from which a route is asked for again"),
  topicRouteServiceCacheExpiredSeconds: fixed("Age in seconds from which a route is not used any more"),
  topicRouteServiceCacheMaxNum: fixed("Most routes that are remembered"),
  topicConfigCacheRefreshSeconds: fixed("Age in seconds from which a topic's configuration is asked for again"),
  topicConfigCacheExpiredSeconds: fixed("Age in seconds from which it is not used any more"),
  topicConfigCacheMaxNum: fixed("Most topics whose configurations are remembered"),
  subscriptionGroupConfigCacheRefreshSeconds: fixed(
    "Age in seconds from which a group's configuration is asked for again",
  ),
  subscriptionGroupConfigCacheExpiredSeconds: fixed("Age in seconds from which it is not used any more"),
  subscriptionGroupConfigCacheMaxNum: fixed("Most groups whose configurations are remembered"),
  enableAclRpcHookForClusterMode: fixed(
    "Sign what brokers are asked: with innerClientAuthenticationCredentials, or else $ROCKETMQ_HOME/conf/tools.yml",
  ),
  userCacheRefreshSeconds: fixed("Age in seconds from which a broker is asked for a user again"),
  userCacheExpiredSeconds: fixed("Age in seconds from which what was known of him is not used any more"),
  userCacheMaxNum: fixed("Most users that are remembered"),
  aclCacheRefreshSeconds: fixed("Age in seconds from which a broker is asked for a user's rights again"),
  aclCacheExpiredSeconds: fixed("Age in seconds from which rights that were known are not used any more"),
  aclCacheMaxNum: fixed("Most users whose rights are remembered"),
  transactionHeartbeatPeriodSecond: fixed("Seconds between heartbeats for producers of transactions"),
  transactionHeartbeatBatchNum: fixed("Most producer groups in one heartbeat"),

  // Sending
  maxMessageSize: fixed("Largest body in bytes"),
  enableMessageBodyEmptyCheck: fixed("Refuse messages without a body"),
  enableTopicMessageTypeCheck: fixed("Refuse messages that are not of their topic's message.type"),
  userPropertyMaxNum: fixed("Most properties of a message"),
  maxUserPropertySize: fixed("Most bytes of a message's properties, tag and keys"),
  maxMessageGroupSize: fixed("Bytes below which a message group must stay"),
  maxLiteTopicSize: fixed("Most bytes of a lite topic's name"),
  maxDelayTimeMills: fixed("Longest delay of a message in milliseconds; 0: none"),
  maxTransactionRecoverySecond: fixed("Longest time in seconds before a transaction is checked"),
  useDelayLevel: fixed("Deliver delayed messages by delay levels rather than to the millisecond"),
  messageDelayLevel: fixed("Delays of levels 1, 2, ... for useDelayLevel"),
  transactionDataExpireMillis: fixed("Milliseconds that a half message can be ended without a check"),
  transactionDataMaxNum: fixed("Verdicts that one transaction may get, by its producer and for its checks"),
  transactionDataExpireScanPeriodMillis: fixed("Milliseconds between looks for half messages to forget"),

  // Receiving
  grpcClientConsumerMinLongPollingTimeoutMillis: fixed("Shortest time that a receive waits"),
  minInvisibleTimeMillsForRecv: fixed("Shortest time that a receive may hide its messages"),
  maxInvisibleTimeMills: fixed("Longest time that messages may be hidden; 0: any"),
  enableProxyAutoRenew: fixed("Keep messages of push consumers hidden for as long as they live"),
  defaultInvisibleTimeMills: fixed("Milliseconds that those messages are hidden at first"),
  renewSchedulePeriodMillis: fixed("Milliseconds between looks for messages to hide for longer"),
  renewAheadTimeMillis: fixed("Milliseconds before its time is over that a message is hidden for longer"),
  renewMaxTimeMillis: fixed("Longest time in milliseconds that a message is kept hidden so"),
  maxRenewRetryTimes: fixed("Failed attempts to hide a message for longer before it is given up"),
  invisibleTimeMillisWhenClear: fixed("Milliseconds until messages of a client that left come again"),

  // What clients are told
  grpcClientProducerMaxAttempts: fixed("Attempts of a send"),
  grpcClientProducerBackoffInitialMillis: fixed("Pause after the first failed attempt of a send"),
  grpcClientProducerBackoffMaxMillis: fixed("Longest pause between attempts of a send"),
  grpcClientProducerBackoffMultiplier: fixed("Factor by which that pause grows"),
  grpcClientConsumerLongPollingBatchSize: fixed("Most messages of one receive"),
  grpcClientConsumerMaxLongPollingTimeoutMillis: fixed("Longest time that a receive waits"),
  metricCollectorMode: fixed(
    "Whether clients export metrics: off, on (to metricCollectorAddress) or proxy (to this port)",
  ),
  metricCollectorAddress: fixed("host:port that clients export metrics to"),
  grpcProxyRelayRequestTimeoutInSeconds: fixed("Seconds that a client has to answer an operator's question"),
};
