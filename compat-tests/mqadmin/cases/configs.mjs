// Options of broker and NameServer, key-value configuration, permissions of a broker, exports.
import { run, short } from "../lib.mjs";

/** Options whose value is the machine's, the run's or the implementation's own. */
const OWN = [
  /^(\s*"?(?:rocketmqHome|storePath\w*|namesrvAddr|brokerIP[12]|listenPort|haListenPort|startAcceptSendRequestTimeStamp|kvConfigPath|configStorePath|bindAddress|\w*ConfigPath|logConfigPath|productEnvName)"?\s*[=:]).*$/gm,
  "$1 <own>",
];

/** Restarts count as changes, on both servers not the same number of times. */
const VERSION = [/"(counter|stateVersion)":\d+/g, '"$1":<count>'];
const VALUE = (pattern) => [pattern, "a wrong value is refused; Apache takes it for something else, or for nothing"];
const KEY = [/unknown key/, "an unknown key is refused; Apache answers success and does nothing"];
const FILES = [/CODE: 16 .*names files/, "no request chooses where the broker writes; Apache takes it"];

export const NAMESRV = [
  short("getNamesrvConfig", { mask: [OWN] }),
  short("updateNamesrvConfig -k orderMessageEnable -v true"),
  run("updateNamesrvConfig -k orderMessageEnable -v notABoolean", { differs: VALUE(/neither true nor false/) }),
  run("updateNamesrvConfig -k orderMessageEnable -v true"),
  run("updateNamesrvConfig -k noSuchKey -v 1", { differs: KEY }),
  run("updateNamesrvConfig -k configStorePath -v {dir}/elsewhere"),
  run("updateNamesrvConfig -k kvConfigPath -v {dir}/elsewhere"),
  run("updateNamesrvConfig -k rocketmqHome -v {dir}/elsewhere"),
  run("getNamesrvConfig", { mask: [OWN] }),
  run("topicRoute -t ClusterOrderTopic"),
  run("updateNamesrvConfig -k orderMessageEnable -v false"),
  short("updateKvConfig -s AdminSpace -k key -v value"),
  run('updateKvConfig -s AdminSpace -k spaced -v "two words"'),
  short("deleteKvConfig -s AdminSpace -k key"),
  run("deleteKvConfig -s AdminSpace -k noSuchKey"),
  run("deleteKvConfig -s NoSuchSpace -k key"),
  // The one namespace that a command reads: KEPT looks there.
  run("updateKvConfig -s ORDER_TOPIC_CONFIG -k KeptKv -v {brokerName}:3"),
  run("updateKvConfig -s ORDER_TOPIC_CONFIG -k GoneKv -v {brokerName}:3"),
  run("deleteKvConfig -s ORDER_TOPIC_CONFIG -k GoneKv"),
  short("wipeWritePerm -b {brokerName}"),
  run("topicRoute -t AdminTopic"),
  short("addWritePerm -b {brokerName}"),
  run("topicRoute -t AdminTopic"),
  run("wipeWritePerm -b no-such-broker"),
  run("addWritePerm -b no-such-broker"),
];

export const BROKER_CONFIG = [
  short("getBrokerConfig -b {broker}", { mask: [OWN] }),
  run("getBrokerConfig -c {cluster}", { mask: [OWN] }),
  run("getBrokerConfig -c NoSuchCluster"),
  run("getBrokerConfig -b 127.0.0.1:1"),
  short("updateBrokerConfig -b {broker} -k traceOn -v false"),
  run("updateBrokerConfig -c {cluster} -k maxMessageSize -v 2097152"),
  run("updateBrokerConfig -c {cluster} -a true -k flushDiskType -v ASYNC_FLUSH"),
  run("updateBrokerConfig -b {broker} -k brokerPermission -v 4"),
  run("topicRoute -t AdminTopic"),
  run("updateBrokerConfig -b {broker} -k brokerPermission -v 6"),
  run("topicRoute -t AdminTopic"),
  short("updateBrokerConfig -b {broker} -k brokerConfigPath -v {dir}/elsewhere"),
  run("updateBrokerConfig -b {broker} -k rocketmqHome -v {dir}/elsewhere"),
  run("updateBrokerConfig -b {broker} -k configBlackList -v nothing"),
  run("updateBrokerConfig -b {broker} -k noSuchKey -v 1", { differs: KEY }),
  run("updateBrokerConfig -b {broker} -k storePathRootDir -v {dir}/elsewhere", { differs: FILES }),
  run("updateBrokerConfig -b {broker} -k maxMessageSize -v many", { differs: VALUE(/not an integer/) }),
  run("updateBrokerConfig -c NoSuchCluster -k traceOn -v true"),
  run("updateBrokerConfig -k traceOn -v true"),
  run("getBrokerConfig -b {broker}", { mask: [OWN] }),
  short("cleanExpiredCQ -b {broker}"),
  run("cleanExpiredCQ -c {cluster}"),
  run("cleanExpiredCQ -c NoSuchCluster"),
  run("deleteExpiredCommitLog -b {broker}"),
  run("deleteExpiredCommitLog -c {cluster}"),
  run("getColdDataFlowCtrInfo -b {broker}"),
  run("getColdDataFlowCtrInfo -c {cluster}"),
  run("updateColdDataFlowCtrGroupConfig -b {broker} -g AdminGroup -v 1048576"),
  run("getColdDataFlowCtrInfo -b {broker}"),
  run("updateColdDataFlowCtrGroupConfig -c {cluster} -g AdminGroup -v notANumber", {
    differs: VALUE(/not a number of bytes/),
  }),
  run("removeColdDataFlowCtrGroupConfig -b {broker} -g AdminGroup"),
  run("removeColdDataFlowCtrGroupConfig -c {cluster} -g NoSuchGroup"),
  run("setCommitLogReadAheadMode -b {broker} -m 0"),
  run("setCommitLogReadAheadMode -c {cluster} -m 1", {
    differs: [/memory map/, "the log is read by position, not through a memory map that could be advised"],
  }),
  run("setCommitLogReadAheadMode -b {broker} -m 7"),
  run("switchTimerEngine -b {broker} -e F"),
  run("switchTimerEngine -b {broker} -e R", {
    differs: [/CODE: 29 .*no RocksDB/, "both refuse with code 29; Skylark says that there is no RocksDB"],
  }),
  run("switchTimerEngine -b {broker} -e X"),
];

export const EXPORTS = [
  short("exportMetadata -c {cluster} -f {dir}/export", { files: ["export/metadata.json"], mask: [OWN] }),
  run("exportMetadata -c {cluster} -t -f {dir}/export", { files: ["export/topic.json"] }),
  run("exportMetadata -c {cluster} -g -f {dir}/export", { files: ["export/subscriptionGroup.json"] }),
  run("exportMetadata -c {cluster} -s -f {dir}/exports", { files: ["exports/metadata.json"], sort: true }),
  run("exportMetadata -b {broker} -t -f {dir}/exportb", { files: ["exportb/topic.json"] }),
  run("exportMetadata -b {broker} -g -f {dir}/exportb", { files: ["exportb/subscriptionGroup.json"] }),
  run("exportMetadata -c NoSuchCluster -f {dir}/export"),
  short("exportConfigs -c {cluster} -f {dir}/export", { files: ["export/configs.json"], mask: [OWN] }),
  run("exportConfigs -c NoSuchCluster -f {dir}/export"),
  run("exportMetrics -c {cluster} -f {dir}/export", {
    files: ["export/metrics.json"],
    mask: [[/:\s*"?-?\d+(\.\d+)?(E-?\d+)?"?/g, ": <figure>"]],
  }),
  run("exportMetrics -c NoSuchCluster -f {dir}/export"),
];

const TPS = [/TPS: .*/g, "TPS: <rate>"];

/** What operators changed is still so after kill -9 of everything. */
export const KEPT = [
  run("topicList", { sort: true, until: /AdminTopic/ }),
  run("topicRoute -t AdminTopic", { until: /queueDatas/ }),
  run("topicRoute -t ListTopicA"),
  run("topicStatus -t TypedTopic"),
  run("exportMetadata -b {broker} -t -f {dir}/kept", { files: ["kept/topic.json"], sort: true, mask: [VERSION] }),
  run("exportMetadata -b {broker} -g -f {dir}/kept", {
    files: ["kept/subscriptionGroup.json"],
    sort: true,
    mask: [VERSION],
  }),
  run("getConsumerConfig -g ClusterGroup"),
  run("updateOrderConf -t OrderTopic -m get"),
  run("updateOrderConf -t KeptOrder -m get"),
  run("updateOrderConf -t KeptKv -m get"),
  run("updateOrderConf -t GoneKv -m get"),
  run("getBrokerConfig -b {broker}", { mask: [OWN] }),
  run("getNamesrvConfig", { mask: [OWN] }),
  run("queryMsgByKey -t AdminTopic -k key-1"),
  // Some messages went to queues of the client's choice, behind the first two of each.
  run("queryCq -t AdminTopic -q 1 -i 0 -c 2", { mask: [[/max: \d+/g, "max: <offset>"]] }),
  run("consumerProgress -g OfflineGroup", { mask: [[/^(AdminTopic +\S+ +\d+) +\d+ +(\d+).*$/gm, "$1 $2"], TPS] }),
];

/** What operators deleted stays away after another kill -9. */
export const GONE = [
  run("topicList", { sort: true, until: /AdminTopic/ }),
  run("topicRoute -t ListTopicB"),
  run("topicStatus -t ListTopicB"),
  run("getConsumerConfig -g OfflineGroup"),
  run("consumerProgress -g OfflineGroup"),
  run("queryCq -t ListTopicB -q 0 -i 0 -b {broker}"),
];
