// What the broker says of messages that wait for an exact time; see questions.mjs.

const TOPIC = "Timed";
/** Until all have entered the wheel, and its figures were looked at. */
const ENTERED_MS = 3_000;
/** What operators look at. Seconds behind are 1 for a moment whenever a second is over. */
const FIGURES = ["timerCongestNum", "timerOffsetBehind"];

const send = (i, properties) => ({
  a: "producers",
  b: TOPIC,
  c: "TBW102",
  d: 1,
  e: 0,
  f: 0,
  g: 1_700_000_000_000,
  h: 0,
  i: Object.entries({ UNIQ_KEY: `7${String(i).padStart(31, "0")}`, ...properties })
    .map(([name, value]) => `${name}\u0001${value}\u0002`)
    .join(""),
  j: 0,
  k: false,
  l: 0,
  m: false,
});

const figures = ({ body }) => {
  const { table } = JSON.parse(body.toString("utf8"));
  const behind = Number(table.timerReadBehind) <= 1 ? "at most 1" : table.timerReadBehind;
  return `${FIGURES.map((name) => `${name}=${table[name]}`).join(" ")} timerReadBehind ${behind}`;
};
const counts = ({ body }) => {
  const { timingCount } = JSON.parse(body.toString("utf8"));
  return Object.entries(timingCount)
    .map(([topic, { count }]) => `${topic}=${count}`)
    .sort()
    .join(" ");
};

export const TIMER_QUESTIONS = [
  {
    name: "create a topic for timers",
    code: 17,
    ext: {
      topic: TOPIC,
      defaultTopic: "TBW102",
      readQueueNums: 1,
      writeQueueNums: 1,
      perm: 6,
      topicFilterType: "SINGLE_TAG",
      topicSysFlag: 0,
      order: false,
    },
    differs: { remark: "Apache leaves its default remark on a success that it did not set itself" },
  },
  ...Array.from({ length: 5 }, (_, i) => ({
    name: `send timer ${i}`,
    code: 310,
    ext: send(i, { TIMER_DELAY_SEC: 600 + i }),
    body: Buffer.from("m"),
    // The handle tells the time.
    pick: ({ ext }) => `recallHandle ${ext.recallHandle === undefined ? "none" : "given"}`,
  })),
  {
    name: "send a timer that is too far away",
    code: 310,
    ext: send(8, { TIMER_DELAY_SEC: 400_000 }),
    body: Buffer.from("m"),
    differs: { remark: "Skylark tells how far" },
  },
  {
    name: "send a timer that is no number",
    code: 310,
    ext: send(9, { TIMER_DELAY_SEC: "soon" }),
    body: Buffer.from("m"),
    differs: { remark: "Skylark tells what" },
  },
  { name: "figures of the timers", code: 28, ext: {}, waitMs: ENTERED_MS, pick: figures },
  { name: "timers by topic", code: 61, ext: {}, pick: counts },
];
