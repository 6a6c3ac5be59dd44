// Messages: sent, found by id, key and offset, printed, consumed.
import { run, short } from "../lib.mjs";

/** [topic, queueId, tags, keys, body] */
export const MESSAGES = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => [
  "AdminTopic",
  i % 4,
  i % 2 === 0 ? "TagA" : "TagB",
  i === 3 ? "key-3 shared" : i === 5 ? "key-5 shared" : `key-${i}`,
  `body ${i}`,
]);

/** Where mqadmin puts a body that it shows. */
const BODY_FILE = [/\/tmp\/rocketmq\/msgbodys\/\S+/g, "<body file>"];
const SENT = {
  mask: [
    [/\b[0-9A-F]{32}\b/g, "<id>"],
    [/^(\S+ +)\d( +SEND_OK)/gm, "$1<queue>$2"],
  ],
};

export const SHOW_MESSAGES = [
  short("queryMsgById -t AdminTopic -i {offsetId.0}", { mask: [BODY_FILE] }),
  run("queryMsgById -t AdminTopic -i {id.3}", { mask: [BODY_FILE] }),
  run("queryMsgById -t AdminTopic -i {offsetId.0},{offsetId.1}", { mask: [BODY_FILE] }),
  run("queryMsgById -t AdminTopic -i {offsetId.2} -f UTF-8", { mask: [BODY_FILE] }),
  run("queryMsgById -t AdminTopic -i {id.2} -c {cluster}", { mask: [BODY_FILE] }),
  run("queryMsgById -t NoSuchTopic -i {id.0}"),
  run("queryMsgById -t AdminTopic -i 0123456789ABCDEF0123456789ABCDEF"),
  run("queryMsgById -t AdminTopic -i noId"),
  run("queryMsgById -t AdminTopic -i {offsetId.0} -g OnlineGroup -d {client.OnlineGroup}", { mask: [BODY_FILE] }),
  run("queryMsgById -t AdminTopic -i {offsetId.0} -g OnlineGroup -d no-such-client", { mask: [BODY_FILE] }),
  run("queryMsgById -t AdminTopic -i {offsetId.0} -g NoSuchGroup -d no-such-client", { mask: [BODY_FILE] }),
  short("queryMsgByKey -t AdminTopic -k key-1", { until: /key-1|AdminTopic|[1-9A-F]{8}/ }),
  run("queryMsgByKey -t AdminTopic -k shared", { sort: true }),
  run("queryMsgByKey -t AdminTopic -k shared -m 1"),
  run("queryMsgByKey -t AdminTopic -k key-1 -b {time.0} -e {now}"),
  run("queryMsgByKey -t AdminTopic -k key-1 -b 1 -e 2"),
  run("queryMsgByKey -t AdminTopic -k no-such-key"),
  run("queryMsgByKey -t NoSuchTopic -k key-1"),
  short("queryMsgByUniqueKey -t AdminTopic -i {id.4}", { mask: [BODY_FILE] }),
  run("queryMsgByUniqueKey -t AdminTopic -i {id.4} -a", { mask: [BODY_FILE] }),
  run("queryMsgByUniqueKey -t AdminTopic -i {id.4} -g OnlineGroup -d {client.OnlineGroup}", { mask: [BODY_FILE] }),
  run("queryMsgByUniqueKey -t AdminTopic -i 0123456789ABCDEF0123456789ABCDEF"),
  run("queryMsgByUniqueKey -t NoSuchTopic -i {id.4}"),
  short("queryMsgByOffset -t AdminTopic -b {brokerName} -i 1 -o 0", { mask: [BODY_FILE] }),
  run("queryMsgByOffset -t AdminTopic -b {brokerName} -i 1 -o 99"),
  run("queryMsgByOffset -t AdminTopic -b {brokerName} -i 9 -o 0"),
  run("queryMsgByOffset -t AdminTopic -b no-such-broker -i 1 -o 0"),
  run("queryMsgTraceById -i {id.0}"),
  run("queryMsgTraceById -i {id.0} -t AdminTopic"),
];

export const PRINT_MESSAGES = [
  short("printMsg -t AdminTopic"),
  run("printMsg -t AdminTopic -s TagA"),
  run("printMsg -t AdminTopic -d false"),
  run("printMsg -t AdminTopic -b 1 -e 2"),
  run("printMsg -t AdminTopic -b {time.0} -e {now} -c UTF-8"),
  run("printMsg -t NoSuchTopic"),
  run("printMsgByQueue -t AdminTopic -a {brokerName} -i 1 -p true -d true"),
  run("printMsgByQueue -t AdminTopic -a {brokerName} -i 1 -p true -s TagB -f true"),
  run("printMsgByQueue -t AdminTopic -a {brokerName} -i 9 -p true"),
  run("printMsgByQueue -t AdminTopic -a no-such-broker -i 1 -p true"),
  run("consumeMessage -t AdminTopic -b {brokerName} -i 1 -o 0 -c 2"),
  run("consumeMessage -t AdminTopic -b {brokerName} -i 1 -o 1 -c 1 -g AdminConsume"),
  run("consumeMessage -t AdminTopic -c 8"),
  run("consumeMessage -t AdminTopic -s {time.0} -e {now} -c 8"),
  run("consumeMessage -t AdminTopic -b {brokerName} -i 1 -o 99 -c 1"),
  run("consumeMessage -t NoSuchTopic -c 1"),
  short("queryCq -t AdminTopic -q 1 -i 0 -c 5"),
  run("queryCq -t AdminTopic -q 1 -i 0 -c 5 -b {broker} -g OnlineGroup"),
  run("queryCq -t AdminTopic -q 1 -i 1 -c 1 -g NoSuchGroup"),
  run("queryCq -t AdminTopic -q 1 -i 99"),
  run("queryCq -t AdminTopic -q 8 -i 0"),
  run("queryCq -t NoSuchTopic -q 0 -i 0"),
  run("queryCq -t NoSuchTopic -q 0 -i 0 -b {broker}"),
];

const RT = [
  [/\b(true|false) +\d+/g, "$1 <ms>"],
  [/Avg RT: .*/, "Avg RT: <rt>"],
];

/** These add messages, so they come after what counts them. */
export const SEND_MESSAGES = [
  short("sendMessage -t AdminTopic -p hello -k sendKey -c TagS -b {brokerName} -i 2"),
  run("sendMessage -t AdminTopic -p hello", SENT),
  run('sendMessage -t AdminTopic -p "two words" -m true -b {brokerName} -i 2'),
  run("sendMessage -t AdminTopic -p hello -b {brokerName} -i 9"),
  run("sendMessage -t AdminTopic -p hello -b no-such-broker -i 0"),
  run("sendMessage -t AdminTopic -p hello -i 0"),
  run("sendMessage -t Bad!Name -p hello"),
  run("sendMessage -t SCHEDULE_TOPIC_XXXX -p hello"),
  run("checkMsgSendRT -t AdminTopic -a 3 -s 16", { mask: RT }),
  run("checkMsgSendRT -t Bad!Name -a 2 -s 16", { mask: RT }),
];
