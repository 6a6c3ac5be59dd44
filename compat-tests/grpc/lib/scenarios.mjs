// What the 5.x clients are put through, and which topics and groups each scenario needs. A topic is named
// G<run>_<scenario>_<suffix>, dashes as underscores, so that scenarios share nothing; its value here is its message.type.

const NORMAL = { normal: "NORMAL" };
/** Redeliveries after a second, so that a message dies in seconds. */
const SOON = { groupRetryPolicy: { type: "CUSTOMIZED", customizedRetryPolicy: { next: [1000, 1000, 1000, 1000] } } };

export const SCENARIOS = {
  send: { about: "20 sends, received and acknowledged, nothing left", topics: NORMAL, groups: { g: {} }, short: true },
  "send-async": { about: "300 sends at once", topics: NORMAL, groups: {} },
  "send-batch": { about: "five messages in one request", topics: NORMAL, groups: { g: {} } },
  "send-properties": { about: "unicode, tag, keys, properties, times and hosts", topics: NORMAL, groups: { g: {} } },
  "send-large": { about: "4 MiB is taken, one byte more refused", topics: NORMAL, groups: { g: {} } },
  "send-refused": {
    about: "wrong types, missing topics, limits: code by code",
    topics: { normal: "NORMAL", delay: "DELAY", fifo: "FIFO" },
    groups: {},
  },
  delay: {
    about: "a delayed message comes at its time, one of the past at once",
    topics: { delay: "DELAY" },
    groups: { g: {} },
  },
  recall: { about: "a delayed message is taken back", topics: { delay: "DELAY" }, groups: { g: {} } },
  transaction: { about: "commit and rollback", topics: { tx: "TRANSACTION" }, groups: { g: {} } },
  "transaction-check": {
    about: "undecided transactions are asked about",
    topics: { tx: "TRANSACTION" },
    groups: { g: {} },
  },
  "simple-redelivery": { about: "what is not acknowledged comes again", topics: NORMAL, groups: { g: {} } },
  "simple-change-invisible": { about: "shorter and longer invisible times", topics: NORMAL, groups: { g: {} } },
  "simple-ack-changed": {
    // Its proxy in local mode leaves the new handle the old pop's first offset, so that an acknowledgement by it finds no checkpoint.
    notOn: { "apache-local": "comes again" },
    about: "what is acknowledged by its new handle stays away",
    topics: NORMAL,
    groups: { g: {} },
  },
  "simple-long-polling": { about: "a receive waits, and is woken", topics: NORMAL, groups: { g: {} } },
  "simple-refused": { about: "invisible times and batch sizes out of bounds", topics: NORMAL, groups: { g: {} } },
  "simple-two-members": { about: "two members share 40 messages, each once", topics: NORMAL, groups: { g: {} } },
  "filter-tag": { about: "tags, and two of one hash", topics: NORMAL, groups: { g: {} } },
  "filter-sql": { about: "SQL92 expressions", topics: NORMAL, groups: { g: {} } },
  push: { about: "200 messages, each once", topics: NORMAL, groups: { g: {} } },
  "push-first": {
    about: "what waits for a consumer comes at its start, also to a group that is new",
    topics: NORMAL,
    groups: { g: {}, fresh: {} },
  },
  "push-retry": { about: "two failures, then success", topics: NORMAL, groups: { g: SOON } },
  "push-dlq": {
    about: "what fails too often becomes a dead letter",
    topics: NORMAL,
    groups: { once: { ...SOON, retryMaxTimes: 1 }, reader: {} },
  },
  "push-slow": {
    about: "75 s of work: the server renews the invisible time",
    topics: NORMAL,
    groups: { g: {} },
    slow: true,
  },
  fifo: {
    about: "order within message groups",
    topics: { fifo: "FIFO" },
    groups: { order: { consumeMessageOrderly: true } },
  },
  "fifo-retry": {
    about: "a failure holds up its message group",
    topics: { fifo: "FIFO" },
    groups: { order: { ...SOON, consumeMessageOrderly: true } },
  },
  "fifo-dlq": {
    about: "an ordered message is given up, the next one follows",
    topics: { fifo: "FIFO" },
    groups: { orderonce: { ...SOON, consumeMessageOrderly: true, retryMaxTimes: 1 }, reader: {} },
  },
};

/** Its proxy in local mode answers SyncLiteSubscription with an exception: its cluster mode is the oracle of these. */
const NO_LITE = { "apache-local": "none" };

Object.assign(SCENARIOS, {
  lite: {
    notOn: NO_LITE,
    about: "lite topics, each in order, as they are subscribed to",
    topics: { lite: "LITE" },
    groups: { g: { bind: "lite", consumeMessageOrderly: true } },
  },
  "lite-retry": {
    notOn: NO_LITE,
    about: "a failure holds up its lite topic",
    topics: { lite: "LITE" },
    groups: { g: { ...SOON, bind: "lite", consumeMessageOrderly: true } },
  },
  "lite-exclusive": {
    notOn: NO_LITE,
    about: "the newest subscriber takes a lite topic over",
    topics: { lite: "LITE" },
    groups: { exclusive: { bind: "lite", attributes: { "+lite.sub.model": "Exclusive" } } },
  },
});

/** The name of a scenario's topic or group. */
export function nameOf(run, scenario, suffix) {
  return `G${run}_${scenario.replaceAll("-", "_")}_${suffix}`;
}
