// Consumer groups, their members and their offsets.
import { file, run, short } from "../lib.mjs";

export const MAKE_GROUPS = [
  short("updateSubGroup -b {broker} -g AdminGroup"),
  run("updateSubGroup -c {cluster} -g ClusterGroup -s true -m true -d false -q 2 -r 3 -i 0 -w 1 -a false"),
  run("updateSubGroup -b {broker} -g OrderGroup -o true"),
  run(
    'updateSubGroup -b {broker} -g PolicyGroup -p {"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2}}',
  ),
  run('updateSubGroup -b {broker} -g PolicyGroup -p {"type":"NO_SUCH"}'),
  run("updateSubGroup -b {broker} -g AttributeGroup --attributes +priority.factor=50"),
  run("updateSubGroup -b {broker} -g AttributeGroup --attributes +no.such=1"),
  run("updateSubGroup -b {broker} -g Bad!Group"),
  run("updateSubGroup -b {broker} -g NumberGroup -r many"),
  run("updateSubGroup -c NoSuchCluster -g AdminGroup"),
  run("updateSubGroup -g AdminGroup"),
  file("groups.json", '[{"groupName":"ListGroupA"},{"groupName":"ListGroupB","retryMaxTimes":5}]'),
  short("updateSubGroupList -b {broker} -f {dir}/groups.json"),
  run("updateSubGroupList -c {cluster} -f {dir}/groups.json"),
  file("bad-groups.json", '[{"groupName":"Bad!Group"}]'),
  run("updateSubGroupList -b {broker} -f {dir}/bad-groups.json"),
  run("updateSubGroupList -b {broker} -f {dir}/no-such-file.json"),
];

export const SHOW_GROUPS = [
  short("getConsumerConfig -g AdminGroup"),
  run("getConsumerConfig -g ClusterGroup"),
  run("getConsumerConfig -g OrderGroup"),
  run("getConsumerConfig -g PolicyGroup"),
  run("getConsumerConfig -g AttributeGroup"),
  run("getConsumerConfig -g ListGroupB"),
  run("getConsumerConfig -g NoSuchGroup"),
  short("consumerConnection -g OnlineGroup"),
  run("consumerConnection -g OnlineGroup -b {broker}"),
  run("consumerConnection -g OfflineGroup"),
  run("consumerConnection -g NoSuchGroup"),
  short("producerConnection -g PreparedProducer -t AdminTopic"),
  run("producerConnection -g NoSuchProducer -t AdminTopic"),
  run("producerConnection -g PreparedProducer -t NoSuchTopic"),
  run("producer -b {broker}", { sort: true }),
  run("producer -b 127.0.0.1:1"),
];

const TPS = [/\b\d+\.\d+\b/g, "<rate>"];

export const PROGRESS = [
  // The consumers report their offsets soon after they read.
  short("consumerProgress -g OnlineGroup", {
    until: [/^AdminTopic /m, /Consume Diff Total: 0/],
    mask: [[/TPS: .*/g, "TPS: <rate>"]],
  }),
  short("consumerProgress", { until: /OnlineGroup/, sort: true, mask: [TPS] }),
  run("consumerProgress -g OnlineGroup -t AdminTopic", { mask: [[/TPS: .*/g, "TPS: <rate>"]] }),
  run("consumerProgress -g OnlineGroup -s true", { mask: [[/TPS: .*/g, "TPS: <rate>"]] }),
  run("consumerProgress -g OfflineGroup", { mask: [[/TPS: .*/g, "TPS: <rate>"]] }),
  run("consumerProgress -g NoSuchGroup"),
  run("consumerProgress -g OnlineGroup -c {cluster}", { mask: [[/TPS: .*/g, "TPS: <rate>"]] }),
  short("brokerConsumeStats -b {broker}", { sort: true, until: /OnlineGroup/ }),
  run("brokerConsumeStats -b {broker} -o true"),
  run("brokerConsumeStats -b {broker} -l 1 -t 5000", { sort: true }),
  run("consumerStatus -g OnlineGroup"),
  run("consumerStatus -g OnlineGroup -i {client.OnlineGroup}", {
    // The client learns of its retry topic with its next look at the routes.
    until: /%RETRY%OnlineGroup/,
    mask: [[/\b\d+\.\d\d\b/g, "<rate>"]],
  }),
  run("consumerStatus -g OnlineGroup -i no-such-client"),
  run("consumerStatus -g NoSuchGroup"),
  // Counted every ten seconds.
  short("statsAll", {
    until: [/^AdminTopic +OnlineGroup +0 .* 8 +8$/m, /^AdminTopic +OfflineGroup +0 .* 8 +8$/m],
    sort: true,
    mask: [TPS],
  }),
  run("statsAll -a", { sort: true, mask: [TPS] }),
  run("statsAll -t AdminTopic", { sort: true, mask: [TPS] }),
  run("statsAll -t NoSuchTopic"),
];

/** Runs for ever, and makes a group and its retry topic some time: nothing may come after it. */
export const MONITORING = [run("startMonitoring", { endlessMs: 3_000 })];

export const OFFSETS = [
  short("cloneGroupOffset -s OfflineGroup -d AdminGroup -t AdminTopic"),
  run("cloneGroupOffset -s NoSuchGroup -d AdminGroup -t AdminTopic"),
  run("cloneGroupOffset -s OfflineGroup -d AdminGroup -t NoSuchTopic"),
  short("resetOffsetByTime -g OfflineGroup -t AdminTopic -s {time.0}"),
  run("resetOffsetByTime -g OfflineGroup -t AdminTopic -s now"),
  run("resetOffsetByTime -g OfflineGroup -t AdminTopic -s 1970-01-02#00:00:00:000"),
  run("resetOffsetByTime -g OfflineGroup -t AdminTopic -s noTime"),
  run("resetOffsetByTime -g OfflineGroup -t AdminTopic -s {time.0} -b {broker} -q 1 -o 1"),
  run("resetOffsetByTime -g OfflineGroup -t AdminTopic -s {time.0} -b {broker} -q 1 -o 99"),
  run("resetOffsetByTime -g NoSuchGroup -t AdminTopic -s {time.0}"),
  run("resetOffsetByTime -g OfflineGroup -t NoSuchTopic -s {time.0}"),
  short("skipAccumulatedMessage -g OfflineGroup -t AdminTopic"),
  run("skipAccumulatedMessage -g OfflineGroup -t AdminTopic -f true"),
  run("skipAccumulatedMessage -g NoSuchGroup -t AdminTopic"),
  run("consumerProgress -g OfflineGroup", { mask: [[/TPS: .*/g, "TPS: <rate>"]] }),
];

export const MODES = [
  short("setConsumeMode -b {broker} -t AdminTopic -g AdminGroup -m POP -q 1"),
  run("setConsumeMode -c {cluster} -t AdminTopic -g AdminGroup -m PULL"),
  run("setConsumeMode -b {broker} -t AdminTopic -g AdminGroup -m NO_MODE"),
  run("setConsumeMode -b {broker} -t NoSuchTopic -g AdminGroup -m POP"),
  run("setConsumeMode -b {broker} -t %RETRY%AdminGroup -g AdminGroup -m POP"),
];

export const DELETE_GROUPS = [
  short("deleteSubGroup -b {broker} -g ListGroupA"),
  run("getConsumerConfig -g ListGroupA", {
    differs: [
      /^$/,
      "Apache 5.5.0 makes the group anew while it deletes it (with autoCreateSubscriptionGroup and without -r)",
    ],
  }),
  run("deleteSubGroup -c {cluster} -g OfflineGroup -r true"),
  run("consumerProgress -g OfflineGroup", { until: /No topic route|not exist/ }),
  run("deleteSubGroup -b {broker} -g NoSuchGroup"),
  run("deleteSubGroup -c NoSuchCluster -g ListGroupB"),
];
