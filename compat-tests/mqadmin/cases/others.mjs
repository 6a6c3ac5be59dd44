// What belongs to other processes, to the Java store's own files, or to parts that Skylark does not serve.
import { run, short } from "../lib.mjs";

const CONTROLLER = [
  /CODE: 3 .*this is not a controller/,
  "both refuse with code 3; Skylark says that it is no controller",
];
const CONTAINER = [
  /CODE: 3 .*broker container/,
  "both refuse with code 3; Skylark says that it is no broker container",
];
const AUTH = [
  /CODE: 1 .*There are no users: /,
  "both refuse with code 1 while nothing speaks of users; Skylark says why",
];
const ROCKSDB = [/CODE: 3 .*RocksDB/, "there is no RocksDB in this broker"];

export const CONTROLLERS = [
  run("getControllerMetaData -a {namesrv}"),
  run("getControllerConfig -a {broker}", { refused: CONTROLLER }),
  run("updateControllerConfig -a {broker} -k key -v value", { refused: CONTROLLER }),
  run("electMaster -a {broker} -b 1 -bn {brokerName} -c {cluster}", { refused: CONTROLLER }),
  run("cleanBrokerMetadata -a {broker} -bn {brokerName} -c {cluster}", { refused: CONTROLLER }),
  run("getSyncStateSet -a {broker} -c {cluster}", { refused: CONTROLLER }),
  run("getSyncStateSet -a {broker} -b {brokerName}", { refused: CONTROLLER }),
  run("addBroker -c {broker} -b {dir}/no-such-broker.conf", { refused: CONTAINER }),
  run("removeBroker -c {broker} -b {cluster}:{brokerName}:0", { refused: CONTAINER }),
];

export const USERS = [
  run("createUser -b {broker} -u alice -p secret12 -t Normal", { refused: AUTH }),
  run("updateUser -b {broker} -u alice -p secret34", { refused: AUTH }),
  run("getUser -b {broker} -u alice", { refused: AUTH }),
  run("listUser -b {broker}", { refused: AUTH }),
  run("copyUser -f {broker} -t {broker} -u alice", { refused: AUTH }),
  run("deleteUser -b {broker} -u alice", { refused: AUTH }),
  run("createAcl -b {broker} -s User:alice -r Topic:AdminTopic -a PUB -d ALLOW", { refused: AUTH }),
  run("updateAcl -b {broker} -s User:alice -r Topic:AdminTopic -a SUB -d ALLOW", { refused: AUTH }),
  run("getAcl -b {broker} -s User:alice", { refused: AUTH }),
  run("listAcl -b {broker}", { refused: AUTH }),
  run("copyAcl -f {broker} -t {broker} -s User:alice", { refused: AUTH }),
  run("deleteAcl -b {broker} -s User:alice", { refused: AUTH }),
];

/** #CQTableSize: Apache's table also gets a topic whose queue somebody has only asked for. */
const COUNTS = [/(default\s+20000\s+0\s+0\s+0)\s+\d+/g, "$1 <topics>"];
/** How long ago, for what never was. */
const AGO = [/\(\d+ s ago\)/g, "(<s> ago)"];

export const LITES = [
  // These commands print no more than "error" of a refusal, whatever the broker says.
  run("getParentTopicInfo -p AdminTopic"),
  run("getLiteTopicInfo -p AdminTopic -l lite"),
  run("getLiteClientInfo -p AdminTopic -g OnlineGroup -c {client.OnlineGroup}"),
  run("getLiteGroupInfo -p AdminTopic -g OnlineGroup"),
  run("triggerLiteDispatch -p AdminTopic -g OnlineGroup"),
  run("updateTopic -b {broker} -t LiteParent -r 4 -w 4 -a +message.type=LITE,+lite.topic.expiration=30"),
  run("updateSubGroup -b {broker} -g LiteGroup -a +lite.bind.topic=LiteParent"),
  run("topicRoute -t LiteParent", { until: /"writeQueueNums":\s*4/ }),
  run("getBrokerLiteInfo -b {broker}", { mask: [COUNTS], sort: true }),
  run("getBrokerLiteInfo -c {cluster}", { mask: [COUNTS], sort: true }),
  run("getParentTopicInfo -p LiteParent", { sort: true }),
  run("getLiteTopicInfo -p LiteParent -l lite"),
  run("getLiteClientInfo -p LiteParent -g LiteGroup -c nobody"),
  run("getLiteGroupInfo -p LiteParent -g LiteGroup", { mask: [AGO] }),
  run("getLiteGroupInfo -p LiteParent -g LiteGroup -l lite", { mask: [AGO] }),
  run("getLiteGroupInfo -p LiteParent -g OnlineGroup", { mask: [AGO] }),
  run("triggerLiteDispatch -p LiteParent -g LiteGroup"),
  run("triggerLiteDispatch -p LiteParent -g LiteGroup -c nobody"),
  run("deleteTopic -c {cluster} -t LiteParent"),
  run("deleteSubGroup -b {broker} -g LiteGroup"),
];

export const LOCAL = [
  short("dumpCompactionLog -f {dir}/no-such-file"),
  run("exportMetadataInRocksDB -p {dir}/no-such-store -t topics"),
  run("exportPopRecord -b {broker} -d true"),
  run("exportPopRecord -c {cluster} -d true"),
  run("rocksDBConfigToJson -b {broker} -t topics"),
  run("rocksDBConfigToJson -c {cluster} -t topics", { refused: ROCKSDB }),
  run("checkRocksdbCqWriteProgress -c {cluster} -t AdminTopic", { refused: ROCKSDB }),
  run("noSuchCommand"),
];
