// Lite topics: refused, empty, and in use.
import { prepare, run } from "../lib.mjs";
import { LITE_CLIENT, LITE_GROUP, LITE_PARENT, LITE_WILDCARD_GROUP, prepareLites } from "../lites.mjs";

/** Without these a broker keeps no lite topics. */
export const LITE_SETTINGS = { enableLmq: true, enableMultiDispatch: true };

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
  run("updateSubGroup -b {broker} -g LiteGroup --attributes +lite.bind.topic=LiteParent"),
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

const PARENT = `-p ${LITE_PARENT}`;
const GROUP = `${PARENT} -g ${LITE_GROUP}`;
/** Of the lists of the lite topics that are most behind, those that are behind by as much have no order. */
const SORTED = { mask: [AGO], sort: true };

/** Of the same three queues and four subscriptions. */
const KEPT_STATES = [
  /default 20000 3 4 1 \d+ \d+ 2$/m,
  "Apache also counts states of what is acknowledged, and not yet the client that subscribed to all",
];

/** Apache looks at a client's lite topics by itself after a while, and notes that as the client's last access. */
const LAST_ACCESS = [/^(\S+ +\d+ +)(?:N\/A|\d{4}-\S+ \S+)/gm, "$1<last access>"];

/** With messages, two groups of subscribers and progress. */
export const LITES_IN_USE = [
  run(`updateTopic -b {broker} -t ${LITE_PARENT} -r 4 -w 4 -a +message.type=LITE,+lite.topic.expiration=30`),
  run(`updateSubGroup -b {broker} -g ${LITE_GROUP} --attributes +lite.bind.topic=${LITE_PARENT}`),
  run(
    `updateSubGroup -b {broker} -g ${LITE_WILDCARD_GROUP} --attributes +lite.bind.topic=${LITE_PARENT},+lite.sub.wildcard=true`,
  ),
  run(`topicRoute -t ${LITE_PARENT}`, { until: /"writeQueueNums":\s*4/ }),
  prepare((server, { brokerName }) => prepareLites(server, brokerName)),
  run("getBrokerLiteInfo -b {broker} -d", { differs: KEPT_STATES, sort: true }),
  run("getBrokerLiteInfo -c {cluster}", { differs: KEPT_STATES, sort: true }),
  run(`getParentTopicInfo ${PARENT}`, { sort: true }),
  run(`getLiteTopicInfo ${PARENT} -l apples`),
  run(`getLiteTopicInfo ${PARENT} -l apples -s`, { sort: true }),
  run(`getLiteTopicInfo ${PARENT} -l cherries -s`, { sort: true }),
  run(`getLiteTopicInfo ${PARENT} -l nothing -s`),
  run(`getLiteClientInfo ${GROUP} -c ${LITE_CLIENT}`),
  run(`getLiteClientInfo ${GROUP} -c ${LITE_CLIENT} -s`, { sort: true }),
  run(`getLiteClientInfo ${PARENT} -g ${LITE_WILDCARD_GROUP} -c lite-other -s`, { mask: [LAST_ACCESS] }),
  run(`getLiteClientInfo ${GROUP} -c nobody -s`),
  run(`getLiteGroupInfo ${GROUP}`, SORTED),
  run(`getLiteGroupInfo ${GROUP} -k 1`, SORTED),
  run(`getLiteGroupInfo ${GROUP} -l apples`, SORTED),
  run(`getLiteGroupInfo ${GROUP} -l cherries`, SORTED),
  run(`getLiteGroupInfo ${PARENT} -g ${LITE_WILDCARD_GROUP}`, SORTED),
  run(`triggerLiteDispatch ${GROUP}`),
  run(`triggerLiteDispatch ${GROUP} -c ${LITE_CLIENT}`),
  run(`triggerLiteDispatch ${GROUP} -b {brokerName}`),
  run(`triggerLiteDispatch ${GROUP} -b no-such-broker`),
  run(`topicStatus -t ${LITE_PARENT}`),
  run(`consumerProgress -g ${LITE_GROUP}`),
  run(`deleteTopic -c {cluster} -t ${LITE_PARENT}`),
  run(`getParentTopicInfo ${PARENT}`, { until: /No topic route|error/ }),
  run(`deleteSubGroup -b {broker} -g ${LITE_GROUP}`),
];
