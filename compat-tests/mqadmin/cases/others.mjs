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
