// Topics: made, changed, shown, refused.
import { file, run, short } from "../lib.mjs";

const MADE = /create topic to .* success/;

export const MAKE_TOPICS = [
  short("updateTopic -b {broker} -t AdminTopic -r 4 -w 4 -p 6", { until: MADE }),
  run("updateTopic -c {cluster} -t ClusterTopic -r 2 -w 2", { until: MADE }),
  run("updateTopic -b {broker} -t OrderTopic -r 2 -w 2 -o true"),
  run("updateTopic -c {cluster} -t ClusterOrderTopic -r 2 -w 2 -o true"),
  run("updateTopic -b {broker} -t UnitTopic -u true -s true"),
  run("updateTopic -b {broker} -t TypedTopic -a +message.type=FIFO"),
  run("updateTopic -b {broker} -t DelayTopic -a +message.type=DELAY"),
  run("updateTopic -b {broker} -t QueueTypeTopic -a +queue.type=BatchCQ"),
  run("updateTopic -b {broker} -t PolicyTopic -a +cleanup.policy=COMPACTION"),
  run("updateTopic -b {broker} -t BadTypeTopic -a +message.type=NO_SUCH_TYPE"),
  run("updateTopic -b {broker} -t MixedTopic -a +message.type=MIXED"),
  run("updateTopic -b {broker} -t BadAttributeTopic -a +no.such.attribute=1"),
  run("updateTopic -b {broker} -t BadAttributeTopic -a message.type"),
  run("updateTopic -b {broker} -t TypedTopic -a +message.type=NORMAL"),
  run("updateTopic -b {broker} -t TypedTopic -a -message.type"),
  run("updateTopic -b {broker} -t WriteOnlyTopic -p 2"),
  run("updateTopic -b {broker} -t BadPermTopic -p 9"),
  run("updateTopic -b {broker} -t BadPermTopic -p seven"),
  run("updateTopic -b {broker} -t NegativeTopic -r -1 -w -1"),
  run("updateTopic -b {broker} -t Bad!Name"),
  run("updateTopic -b {broker} -t SCHEDULE_TOPIC_XXXX"),
  run("updateTopic -b {broker} -t %RETRY%byHand"),
  run("updateTopic -c NoSuchCluster -t ClusterTopic"),
  run("updateTopic -t NoBrokerTopic"),
  run("updateTopic -b {broker}"),
  file(
    "topics.json",
    '[{"topicName":"ListTopicA","readQueueNums":2,"writeQueueNums":2,"perm":6},{"topicName":"ListTopicB","readQueueNums":3,"writeQueueNums":3,"perm":6,"order":false}]',
  ),
  short("updateTopicList -b {broker} -f {dir}/topics.json"),
  run("updateTopicList -c {cluster} -f {dir}/topics.json"),
  run("updateTopicList -b {broker} -f {dir}/no-such-file.json"),
  file("bad-topics.json", '[{"topicName":"ListTopicC"},{"topicName":"Bad!Name"}]'),
  run("updateTopicList -b {broker} -f {dir}/bad-topics.json"),
  file("broken-topics.json", "[{"),
  run("updateTopicList -b {broker} -f {dir}/broken-topics.json"),
];

export const SHOW_TOPICS = [
  short("topicRoute -t AdminTopic", { until: /queueDatas/ }),
  run("topicRoute -t AdminTopic -l"),
  run("topicRoute -t OrderTopic"),
  run("topicRoute -t ClusterOrderTopic"),
  run("topicRoute -t UnitTopic"),
  run("topicRoute -t TypedTopic"),
  run("topicRoute -t WriteOnlyTopic"),
  run("topicRoute -t NegativeTopic"),
  run("topicRoute -t TBW102"),
  short("topicRoute -t NoSuchTopic"),
  short("topicStatus -t AdminTopic"),
  run("topicStatus -t ClusterTopic"),
  run("topicStatus -t NoSuchTopic"),
  run("topicStatus -t SCHEDULE_TOPIC_XXXX"),
  run("topicStatus -t AdminTopic -c {cluster}"),
  short("topicClusterList -t AdminTopic"),
  run("topicClusterList -t NoSuchTopic"),
  short("topicList", { sort: true }),
  run("topicList -c", { sort: true }),
  run("allocateMQ -t AdminTopic -i 10.0.0.1,10.0.0.2,10.0.0.3"),
  run("allocateMQ -t NoSuchTopic -i 10.0.0.1"),
];

export const CHANGE_TOPICS = [
  short("updateTopicPerm -b {broker} -t ListTopicA -p 4"),
  run("updateTopicPerm -b {broker} -t ListTopicA -p 4"),
  run("updateTopicPerm -c {cluster} -t ListTopicA -p 6"),
  run("updateTopicPerm -b {broker} -t NoSuchTopic -p 6"),
  run("updateTopicPerm -b {broker} -t ListTopicA -p 1"),
  run("updateTopicPerm -b {broker} -t ListTopicA -p abc"),
  run("updateTopicPerm -c NoSuchCluster -t ListTopicA -p 6"),
  run("topicRoute -t ListTopicA", { until: /perm/ }),
  short("updateOrderConf -t OrderConf -m put -v {brokerName}:4"),
  short("updateOrderConf -t OrderConf -m get"),
  run("updateOrderConf -t OrderConf -m delete"),
  run("updateOrderConf -t OrderConf -m get"),
  run("updateOrderConf -t KeptOrder -m put -v {brokerName}:7"),
  run("updateOrderConf -t OrderConf -m noSuchMethod"),
  run("updateOrderConf -t OrderConf -m put"),
];

const STATIC = [/CODE: 3 .*static topics/, "static topics, whose queues span several brokers, are not served"];

export const STATIC_TOPICS = [
  run("updateStaticTopic -t StaticTopic -qn 4 -b {brokerName}", { refused: STATIC }),
  run("updateStaticTopic -t StaticTopic -qn 4 -c {cluster}", { refused: STATIC }),
  run("updateStaticTopic -t StaticTopic -qn 4 -c NoSuchCluster"),
  run("remappingStaticTopic -t NoSuchTopic -b {brokerName}"),
  run("remappingStaticTopic -t AdminTopic -c {cluster}"),
];

export const DELETE_TOPICS = [
  short("deleteTopic -t ListTopicB -c {cluster}"),
  short("topicRoute -t ListTopicB", { until: /No topic route/ }),
  run("topicStatus -t ListTopicB"),
  run("deleteTopic -t NoSuchTopic -c {cluster}"),
  run("deleteTopic -t ListTopicA -c NoSuchCluster"),
  run("deleteTopic -t SCHEDULE_TOPIC_XXXX -c {cluster}"),
  run("cleanUnusedTopic -b {broker}"),
  run("cleanUnusedTopic -c {cluster}"),
  run("cleanUnusedTopic -c NoSuchCluster"),
  run("cleanUnusedTopic"),
];
