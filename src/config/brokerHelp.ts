/**
 * The broker options that Skylark acts on, each with one line of help and whether a change acts at run time. An option
 * belongs here only when code reads it; a test demands that.
 */
import type { BrokerOptions } from "./generated/brokerOptions.ts";
import type { Help } from "./option.ts";

/** Acts at once when changed by `mqadmin updateBrokerConfig`. */
const live = (help: string): Help => ({ help, reloadable: true });
/** Acts at the next start. */
const fixed = (help: string): Help => ({ help, reloadable: false });

export const BROKER_HELP: Partial<Record<keyof BrokerOptions, Help>> = {
  // Who and where
  brokerClusterName: fixed("Cluster that this broker belongs to"),
  brokerName: fixed("Name that a master and its slaves share"),
  brokerId: fixed("0 for a master, above 0 for a slave"),
  brokerRole: fixed("ASYNC_MASTER, SYNC_MASTER (acknowledge after a slave has the message) or SLAVE"),
  brokerIP1: live("Address that clients are told to use; unset: the one by which they reached the NameServer"),
  brokerIP2: fixed("Address that slaves are told to replicate from"),
  listenPort: live(
    "Port for clients; the fast port is two below. Changed at run time: the port that clients are told, until the next start",
  ),
  haListenPort: fixed("Port for slaves; 0: listenPort + 1"),
  haMasterAddress: fixed("With brokerRole=SLAVE: the master's host:haListenPort; unset: as the NameServer says"),
  haSendHeartbeatInterval: live("Milliseconds of silence after which master and slave greet each other"),
  haHousekeepingInterval: live("Milliseconds of silence after which master and slave give each other up"),
  haTransferBatchSize: live("Most bytes of the log that a slave is sent in one piece"),
  haMaxGapNotInSync: live("Bytes that a slave may be behind to count as in sync"),
  haFlowControlEnable: live("Send each slave no more than maxHaTransferByteInSecond"),
  maxHaTransferByteInSecond: live("With haFlowControlEnable: most bytes per second for one slave"),
  inSyncReplicas: fixed(
    "With SYNC_MASTER: brokers, the master among them, that must have a message before it is acknowledged",
  ),
  slaveTimeout: live("Milliseconds that a SYNC_MASTER waits for slaves before it answers FLUSH_SLAVE_TIMEOUT"),

  // A Controller says who is master
  enableControllerMode: fixed("Let the Controllers of controllerAddr make this broker a master or a slave"),
  controllerAddr: live("Controllers, host:port;host:port"),
  brokerHeartbeatInterval: live("Milliseconds between heartbeats to the Controllers"),
  controllerHeartBeatTimeoutMills: live("Milliseconds of silence after which a Controller counts this broker as dead"),
  brokerElectionPriority: live("Which of several slaves with equally much is elected: the lowest number"),
  syncBrokerMetadataPeriod: live("Milliseconds between questions to the Controller who is master"),
  syncControllerMetadataPeriod: live("Milliseconds between questions who leads the Controllers"),
  checkSyncStateSetPeriod: live("Milliseconds between looks for slaves that no longer hold everything"),
  haMaxTimeSlaveNotCatchup: live(
    "Milliseconds that a slave may be behind and still count as one that holds everything",
  ),
  allAckInSyncStateSet: fixed("Acknowledge and show a message when all brokers have it that hold everything"),
  minInSyncReplicas: fixed("Must be 1 with enableControllerMode: use inSyncReplicas or allAckInSyncStateSet"),
  fetchControllerAddrByDnsLookup: fixed(
    "Must be false with enableControllerMode: Controllers are named in controllerAddr",
  ),
  enableDLegerCommitLog: fixed("Must be false with enableControllerMode: DLedger logs are not offered"),
  syncFromLastFile: fixed("A new slave begins with the master's newest commit log file"),
  asyncLearner: fixed("This slave never counts as one that holds everything, and is not elected"),
  storePathEpochFile: fixed("File that says which master wrote the log from where on; unset: in storePathRootDir"),
  storePathBrokerIdentity: fixed("File with the id that the Controller gave; unset: in storePathRootDir"),
  useTLS: fixed(
    "Speak TLS with NameServers and masters; unset: tls.enable, or else whether tls.server.mode is enforcing",
  ),
  bindAddress: fixed("Local address to listen on"),
  namesrvAddr: live("NameServers to register with, host:port;host:port"),
  brokerPermission: live("What all topics of this broker allow: 2 write, 4 read, 6 both"),
  configBlackList: fixed("Keys that mqadmin may not change, separated by semicolons"),

  // Users and rights
  authenticationEnabled: fixed("Take requests only from users, with their signature"),
  authorizationEnabled: fixed("Let users do only what their rights say; super users everything"),
  aclEnable: fixed(
    "ACL 1.0: accounts and permissions of conf/plain_acl.yml and conf/acl/*.yml, read again when they change",
  ),
  rocketmqHome: fixed("Directory whose conf/ holds plain_acl.yml and acl/*.yml; unset: ROCKETMQ_HOME"),
  migrateAuthFromV1Enabled: fixed("With authenticationEnabled: make users of the accounts of ACL 1.0 at the start"),
  authenticationWhitelist: fixed(
    "Request codes, and full names of gRPC messages, that need no signature, separated by commas",
  ),
  authorizationWhitelist: fixed(
    "Request codes, and full names of gRPC messages, that every user may use, separated by commas",
  ),
  initAuthenticationUser: fixed(
    'Super user to make at the start when there is none of that name: {"username":"...","password":"..."}',
  ),
  innerClientAuthenticationCredentials: fixed(
    'What this broker signs its own requests with: {"accessKey":"...","secretKey":"..."}',
  ),
  authenticationMetadataProvider: fixed("Set: users can be made and listed before authenticationEnabled is"),
  authorizationMetadataProvider: fixed("Set: rights can be given before authorizationEnabled is"),
  authenticationProvider: fixed("Apache's own class, or unset"),
  authorizationProvider: fixed("Apache's own class, or unset"),
  authenticationStrategy: fixed(
    "One of Apache's two classes, or unset; both decide alike here, and nothing is decided by an old right",
  ),
  authorizationStrategy: fixed(
    "One of Apache's two classes, or unset; both decide alike here, and nothing is decided by an old right",
  ),

  // Metrics
  metricsExporterType: fixed(
    "DISABLE, PROM (serve /metrics for Prometheus), OTLP_GRPC (send to a collector) or LOG (write OTLP's JSON into the log)",
  ),
  metricsPromExporterHost: fixed("With PROM: address that /metrics listens on; empty: brokerIP1"),
  metricsPromExporterPort: fixed("With PROM: port of /metrics, /health and /ready"),
  metricLoggingExporterIntervalInMills: fixed("With LOG: milliseconds between two accounts"),
  metricsGrpcExporterTarget: fixed("With OTLP_GRPC: the collector, host:port over TLS, http://host:port without"),
  metricsGrpcExporterHeader: fixed("With OTLP_GRPC: headers of each call, name:value,name:value"),
  metricGrpcExporterIntervalInMills: fixed("With OTLP_GRPC: milliseconds between two accounts"),
  metricGrpcExporterTimeOutInMills: fixed("With OTLP_GRPC: milliseconds that the collector has to answer"),
  metricsExportBatchMaxDataPoints: live("With OTLP_GRPC: most points of one call; an account with more takes several"),
  metricsLabel: fixed("Labels of every metric, key:value,key:value"),
  metricsInDelta: fixed("Label metrics as deltas; with OTLP_GRPC and LOG, tell what came since the last account"),
  metricsOtelCardinalityLimit: fixed("Most combinations of labels that one metric is counted by"),
  enableStatsMetrics: fixed("Export numbers of topics and groups"),
  enableRequestMetrics: fixed("Export messages in and out"),
  enableConnectionMetrics: fixed("Export connections of clients"),
  enableLagAndDlqMetrics: fixed("Export how far groups are behind, and what went to dead-letter topics"),
  useStaticSubscription: live(
    "Measure how far groups are behind on the topics of their configuration rather than on their members' subscriptions",
  ),
  enableTransactionMetrics: fixed("Export what became of transactions"),
  enableRemotingMetrics: fixed("Export how long requests take"),
  enableMessageStoreMetrics: fixed("Export figures of the store and of timers"),
  enablePopMetrics: fixed("Export figures of pops"),

  // Registration
  registerBrokerTimeoutMills: live("Milliseconds to wait for a NameServer's answer"),
  registerNameServerPeriod: fixed("Milliseconds between registrations, kept within 10,000 to 60,000"),
  forceRegister: live("Register even when nothing changed since the last time"),
  enableSplitRegistration: live("Register topics in pieces, also when nothing changed"),
  splitRegistrationSize: live("With enableSplitRegistration: most topics of one piece"),
  enableSingleTopicRegister: live("Announce a changed topic alone rather than in a list of changes"),

  // Topics and groups
  autoCreateTopicEnable: live("Create a topic when the first message for it arrives"),
  autoCreateSubscriptionGroup: live("Create a consumer group when its first member arrives"),
  enableCreateSysGroup: live(
    "Create groups of the system when their first member arrives, whatever autoCreateSubscriptionGroup says",
  ),
  defaultTopicQueueNums: live("Most queues that a topic created on arrival gets"),
  clusterTopicEnable: fixed("Offer a topic named after the cluster"),
  brokerTopicEnable: fixed("Offer a topic named after the broker"),
  traceTopicEnable: fixed("Offer the topic for message traces"),
  msgTraceTopicName: fixed("Name of the topic for message traces"),
  validateSystemTopicWhenUpdateTopic: live("Refuse changes to system topics"),
  enableMixedMessageType: live("Allow message.type=MIXED for topics"),
  clearRetryTopicWhenDeleteTopic: live("Delete the retry topics of pops with their topic"),
  enableSplitMetadata: live("Hand out topic and group tables in pages"),
  splitMetadataSize: live("Rows in one page of a topic or group table"),
  notifyConsumerIdsChangedEnable: live("Tell a group's members at once when one joins or leaves"),
  lockInStrictMode: live("Lock queues for orderly consumers only when most of totalReplicas agree"),
  totalReplicas: live("Brokers that hold the same messages, for lockInStrictMode"),
  realTimeNotifyConsumerChange: live("Tell them on the spot rather than every 15 seconds"),
  enableRegisterProducer: live("Note producers even where transactions are refused, so that nobody checks them back"),
  useServerSideResetOffset: live("Reset consumer offsets in the broker rather than in the clients"),
  storeReplyMessageEnable: live("Store replies of request-reply calls"),
  offsetCheckInSlave: live("Let a slave, too, move the offsets of consumers who ask for what it does not have"),
  slaveReadEnable: live("Let groups say which broker their consumers read from; a slave without it refuses pulls"),
  accessMessageInMemoryMaxRatio: live(
    "With slaveReadEnable: percent of the machine's memory; readers further behind are sent to another broker",
  ),

  // Sending and pulling
  startAcceptSendRequestTimeStamp: live("Milliseconds since 1970 before which sends are refused; 0: never"),
  maxMessageSize: live("Largest message in bytes"),
  enableBroadcastOffsetStore: live("Note how far members of broadcasting groups have pulled, for those behind a proxy"),
  broadcastOffsetExpireSecond: live("Seconds after which a broadcasting member that left is forgotten"),
  broadcastOffsetExpireMaxSecond: live("Seconds without a pull after which one that is connected is forgotten"),
  rejectPullConsumerEnable: live("Refuse consumers that pull by themselves"),
  litePullMessageEnable: live("Answer lite pull consumers (LITE_PULL_MESSAGE)"),
  enablePropertyFilter: live("Allow SQL92 filters on message properties"),
  filterSupportRetry: live("Judge messages of a retry topic by the filter for the topic they came from"),
  filterDataCleanTimeSpan: live("Milliseconds that the filter of a group without consumers is kept"),
  maxErrorRateOfBloomFilter: fixed(
    "Percent of errors of Apache's bloom filter, whose places config/consumerFilter.json has",
  ),
  expectConsumerNumUseFilter: fixed("Groups that Apache's bloom filter is made for"),
  enableLmq: fixed(
    "Light queues (%LMQ%...): topics, groups and offsets that nobody has to create; for messages see enableMultiDispatch",
  ),
  enableMultiDispatch: fixed("With enableLmq: list a message in every light queue that its INNER_MULTI_DISPATCH names"),
  enableLmqQuota: live("Refuse messages for new light queues beyond maxLmqConsumeQueueNum"),
  enableLiteEventMode: live("Obey the order to look at all unread lite topics again (mqadmin triggerLiteDispatch)"),
  liteLagLatencyCollectEnable: live("Tell operators on which lite topics a group's oldest unread messages are"),
  liteLagLatencyTopK: live("Most lite topics in that list"),
  maxLiteSubscriptionCount: live("Most pairs of client and lite topic; further subscriptions are refused"),
  liteSubscriptionCheckInterval: fixed("Milliseconds between looks for clients whose lite subscriptions expired"),
  liteSubscriptionCheckTimeoutMills: live(
    "Milliseconds after which subscriptions that a client does not repeat expire",
  ),
  liteTtlCheckInterval: fixed("Milliseconds between looks for lite topics to delete"),
  minLiteTTl: live("Milliseconds without a message that a lite topic lives at least, whatever its parent says"),
  maxLmqConsumeQueueNum: live("Most light queues, with enableLmqQuota"),
  longPollingEnable: live("Hold a pull that finds nothing until a message arrives"),
  shortPollingTimeMills: live("Milliseconds that a pull is held where long polling is off"),
  maxMsgsNumBatch: live("Most messages that a query by key returns"),
  defaultQueryMaxNum: live("Most index entries that a query by key looks at"),
  regionId: live("Region named in message traces"),
  traceOn: live("Let clients trace messages of this broker"),
  messageDelayLevel: fixed("Delays of levels 1, 2, ..., such as 1s 5s 10s 30s 1m 2h"),
  maxTransferBytesOnMessageInMemory: live("Most bytes that one pull returns from memory"),
  maxTransferCountOnMessageInMemory: live("Most messages that one pull returns from memory"),

  // Transactions
  rejectTransactionMessage: live("Refuse transactional messages"),
  transactionTimeOut: live("Milliseconds after which the producer of an undecided message is asked"),
  transactionCheckMax: live("Checks after which an undecided message is given up"),
  transactionCheckInterval: live("Milliseconds between rounds of checks"),
  transactionOpMsgMaxSize: live("Bytes of decisions that are written at once"),
  transactionOpBatchInterval: live("Milliseconds that a decision waits to be written with others"),
  transactionMetricFlushInterval: fixed("Milliseconds between writes of the counts of undecided messages"),
  // Messages at an exact time
  timerWheelEnable: fixed("Take messages that ask for an exact time; without it pops are refused, as in Apache"),
  timerPrecisionMs: fixed(
    "Milliseconds of one slot: 1000, 500, 200 or 100; nothing is early, and late by one slot at most",
  ),
  timerMaxDelaySec: live("Seconds that a message may wait at most"),
  timerRollWindowSlot: fixed("Slots ahead beyond which a message is put back into the timer queue on the way"),
  timerCongestNumEachSlot: live("Messages of one slot above which some are refused, all above twice as many"),
  timerFlushIntervalMs: fixed("Milliseconds between flushes of wheel, timer log and checkpoint"),
  timerStopEnqueue: live("Leave new timer messages in their queue, out of the wheel"),
  timerStopDequeue: live("Deliver no due timer messages"),
  mappedFileSizeTimerLog: fixed("Bytes of one timer log file, 52 per message"),
  recallMessageEnable: live("Let producers take timer messages back"),
  allowRecallWhenBrokerNotWriteable: live("Let them do so where brokerPermission forbids writing"),
  appendTopicForTimerDeleteKey: live("A recall names its message by topic and unique key, not by the key alone"),
  // Popping
  enableRetryTopicV2: live("Name retry topics of pops %RETRY%group+topic instead of %RETRY%group_topic"),
  retrieveMessageFromPopRetryTopicV1: live(
    "With enableRetryTopicV2, also pop what lies in retry topics of the old name",
  ),
  popFromRetryProbability: live("Percent of pops that look at the retry topic first"),
  popFromRetryProbabilityForPriority: live("The same for topics with priorities"),
  priorityOrderAsc: live("The queue with the highest number is the most urgent one of a topic with priorities"),
  popResponseReturnActualRetryTopic: live("Give retried messages under their retry topic's name"),
  useSeparateRetryQueue: live("Give retry topics as many queues as their topic has"),
  initPopOffsetByCheckMsgInMem: live("Let a new group begin with the first message while that is still in memory"),
  enablePopMessageThreshold: live("Stop popping a queue of which too many messages are unacknowledged"),
  popInflightMessageThreshold: live("How many are too many, per group and queue"),
  maxPopPollingSize: live("Most pops that may wait for messages"),
  popPollingSize: live("Most pops that may wait for one queue of a group"),
  reviveQueueNum: fixed("Queues of the topic in which pops and acknowledgements are noted"),
  enableNotifyAfterPopOrderLockRelease: live(
    "Wake pops in order when the invisible time of a queue's messages is over",
  ),
  useMessageFilterForNotification: live("Let notifications look at messages through their filter"),
  maxMessageFilterNumForNotification: live("Messages from which on notifications do not filter"),
  serverLoadBalancerEnable: live("Assign queues to the members of a group; otherwise each gets all"),
  defaultMessageRequestMode: live("PULL or POP, for groups whose mode was never set"),
  defaultPopShareQueueNum: live("How many members share a queue where POP is the default; 0 or less: all"),
  loadBalancePollNameServerInterval: fixed("Milliseconds between looks at the routes that queues are assigned by"),

  // Statistics
  autoDeleteUnusedStats: live("Forget the figures of a topic or group with it"),
  enableDetailStat: fixed("Count messages per queue as well as per topic and group"),

  // Consumer offsets
  flushConsumerOffsetInterval: fixed("Milliseconds between writes of consumer offsets"),
  consumerOffsetUpdateVersionStep: live("Commits after which the offset table's version rises"),
  flushDelayOffsetInterval: fixed("Milliseconds between writes of the delay levels' progress"),
  delayOffsetUpdateVersionStep: live("Steps of the delay levels after which the version of their table rises"),

  // Store: files
  storePathRootDir: fixed("Directory of all files"),
  storePathCommitLog: fixed("Directory of the commit log; unset: commitlog below storePathRootDir"),
  mappedFileSizeCommitLog: fixed("Bytes of one commit log file"),
  mappedFileSizeConsumeQueue: fixed("Bytes of one consume queue file, 20 per message"),
  maxHashSlotNum: fixed("Hash slots of one index file"),
  maxIndexNum: fixed("Entries of one index file"),
  messageIndexEnable: fixed("Index message keys"),

  // Store: flushing
  flushDiskType: fixed("ASYNC_FLUSH (acknowledge once written) or SYNC_FLUSH (once on the disk)"),
  syncFlushTimeout: live("Milliseconds that a send waits for SYNC_FLUSH"),
  flushIntervalCommitLog: live("Milliseconds between flushes of the commit log"),
  flushIntervalConsumeQueue: live("Milliseconds between flushes of consume queues"),

  // Store: retention
  fileReservedTime: live("Hours that commit log files are kept"),
  deleteWhen: live("Hours of the day at which expired files are deleted, such as 04 or 04;16"),
  cleanResourceInterval: fixed("Milliseconds between looks for files to delete"),
  deleteFileBatchMax: live("Most commit log files deleted at one look"),
  diskMaxUsedSpaceRatio: live("Percent of the disk in use above which expired files are deleted at any hour"),
  diskSpaceCleanForciblyRatio: live(
    "Percent of the disk in use above which the oldest files are deleted even if not expired",
  ),
  diskSpaceWarningLevelRatio: live("Percent of the disk in use above which sends are refused"),
  cleanFileForciblyEnable: live("Allow deletion of files that are not expired"),

  // Connections
  serverChannelMaxIdleTimeSeconds: fixed("Seconds after which a silent connection is closed"),
  serverSocketBacklog: fixed("Connections that may wait to be accepted"),
  channelExpiredTimeout: fixed("Milliseconds without a heartbeat after which a client counts as gone"),
};
