// What is asked about messages by key, type of index, unique id, offset and time, and by a filter that is off by default; see questions.mjs,
// whose five messages in topic T (key "key", tags a and b) are asked for.

const T = "T";
const json = (value) => Buffer.from(JSON.stringify(value));
const FOREVER = { beginTimestamp: 0, endTimestamp: 9_000_000_000_000 };
const byKey = (more = {}) => ({ topic: T, key: "key", maxNum: 32, ...FOREVER, ...more });
const uniqueId = (length) => `${"0".repeat(31)}${length}`;
const NOT_FOUND = {
  differs: {
    fields: "the state of the index is told although nothing was found: Apache says 0, as if there were none",
  },
};
const check = (expressionType, subString) =>
  json({ clientId: "c", group: "g", subscriptionData: { topic: T, expressionType, subString, subVersion: 1 } });
const OUR_HINT = { differs: { remark: "the option that allows it is named behind Apache's words" } };
const pull = (more) => ({
  consumerGroup: "g",
  topic: T,
  queueId: 0,
  queueOffset: 0,
  maxMsgNums: 32,
  sysFlag: 4,
  commitOffset: 0,
  suspendTimeoutMillis: 0,
  subscription: "*",
  subVersion: 0,
  expressionType: "TAG",
  ...more,
});

export const QUERY_QUESTIONS = [
  { name: "query by key", code: 12, ext: byKey() },
  { name: "query by key, two at most", code: 12, ext: byKey({ maxNum: 2 }) },
  { name: "query by key, none at most", code: 12, ext: byKey({ maxNum: 0 }), ...NOT_FOUND },
  { name: "query by key of type K", code: 12, ext: byKey({ indexType: "K" }) },
  { name: "query by key of type U", code: 12, ext: byKey({ indexType: "U" }) },
  { name: "query by tag", code: 12, ext: byKey({ key: "a", indexType: "T" }) },
  { name: "query by another tag", code: 12, ext: byKey({ key: "b", indexType: "T", lastKey: "x" }) },
  { name: "query by a tag that nobody sent", code: 12, ext: byKey({ key: "c", indexType: "T" }), ...NOT_FOUND },
  { name: "query by a tag as a key", code: 12, ext: byKey({ key: "a" }), ...NOT_FOUND },
  { name: "query of a type that there is not", code: 12, ext: byKey({ indexType: "X" }) },
  { name: "query by unique id", code: 12, ext: byKey({ key: uniqueId(1), _UNIQUE_KEY_QUERY: true, maxNum: 1 }) },
  { name: "query by unique id as a key", code: 12, ext: byKey({ key: uniqueId(1), maxNum: 1 }) },
  { name: "query of another topic", code: 12, ext: byKey({ topic: "Empty" }), ...NOT_FOUND },
  { name: "query before the first message", code: 12, ext: byKey({ endTimestamp: 1 }), ...NOT_FOUND },
  { name: "query behind the last message", code: 12, ext: byKey({ beginTimestamp: 8_000_000_000_000 }), ...NOT_FOUND },
  { name: "view at the first offset", code: 33, ext: { topic: T, offset: 0 } },
  { name: "view beyond the log", code: 33, ext: { topic: T, offset: 1_000_000_000 } },
  { name: "view before the log", code: 33, ext: { topic: T, offset: -1 } },
  { name: "check of a tag filter", code: 46, body: check("TAG", "a || b") },
  { name: "check of an SQL92 filter while it is off", code: 46, body: check("SQL92", "a > 5"), ...OUR_HINT },
  {
    name: "pull by SQL92 while it is off",
    code: 11,
    ext: pull({ expressionType: "SQL92", subscription: "a > 5" }),
    ...OUR_HINT,
  },
  {
    name: "pull by an empty SQL92 filter",
    code: 11,
    ext: pull({ expressionType: "SQL92", subscription: "" }),
    ...OUR_HINT,
  },
];
