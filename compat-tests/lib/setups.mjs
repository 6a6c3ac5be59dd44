// The servers the scenarios need. A setup is a broker configuration; both servers get the same keys. A new one is a row here.
//
// `layout`: Skylark's roles in one process ("one") or NameServer and broker apart ("split"). `parallel`: how many scenarios of a client run
// at once. `ownServer`: each client gets a server of its own, because its scenarios do things to it that others would notice.

/** Short delays: retries use level 3 and up, so that a message dies in seconds. Level 18 is the last. */
const SHORT_DELAYS = ["1s", "2s", "3s", ...Array(14).fill("1s"), "4s"].join(" ");

/** Undecided messages are asked about soon. */
const SHORT_CHECKS = {
  messageDelayLevel: SHORT_DELAYS,
  transactionTimeOut: 3_000,
  transactionCheckInterval: 1_500,
  transactionCheckMax: 6,
  // Longer than the time between two rounds, and Apache asks again for what it has committed.
  transactionOpBatchInterval: 200,
};

/** Of all setups. An idle Apache broker writes its timer wheel of 37 MiB to the file every second: six of them kept a third of two cores busy. */
export const COMMON = { timerFlushIntervalMs: 20_000 };

/** @type {Record<string, { settings: Record<string, unknown>, layout: "one" | "split", parallel: number, ownServer?: boolean }>} */
export const SETUPS = {
  // Its scenarios stop the NameServer or the broker and mostly wait for clients to notice.
  faults: {
    settings: { messageDelayLevel: SHORT_DELAYS, enablePropertyFilter: true },
    layout: "split",
    parallel: 1,
    ownServer: true,
  },
  standard: { settings: { messageDelayLevel: SHORT_DELAYS }, layout: "one", parallel: 8 },
  filters: { settings: { messageDelayLevel: SHORT_DELAYS, enablePropertyFilter: true }, layout: "one", parallel: 8 },
  transactions: { settings: SHORT_CHECKS, layout: "one", parallel: 8 },
  transactionFaults: { settings: SHORT_CHECKS, layout: "split", parallel: 1, ownServer: true },
  // Light queues; its scenarios restart and kill the broker.
  lmq: {
    settings: { enableLmq: true, enableMultiDispatch: true },
    layout: "split",
    parallel: 1,
    ownServer: true,
  },
  strict: {
    settings: { autoCreateTopicEnable: false, autoCreateSubscriptionGroup: false },
    layout: "one",
    parallel: 4,
  },
  // A wheel of 5 seconds, so that messages roll, and recall, which is off by default.
  timers: {
    settings: {
      messageDelayLevel: SHORT_DELAYS,
      timerRollWindowSlot: 5,
      timerMaxDelaySec: 60,
      recallMessageEnable: true,
      mappedFileSizeTimerLog: 520,
    },
    layout: "one",
    parallel: 8,
  },
  // Options that change what clients see, each the other way round than by default.
  contrary: {
    settings: {
      messageDelayLevel: SHORT_DELAYS,
      useServerSideResetOffset: false,
      storeReplyMessageEnable: false,
      traceOn: false,
      traceTopicEnable: true,
      slaveReadEnable: true,
      accessMessageInMemoryMaxRatio: 0,
      lockInStrictMode: true,
    },
    layout: "one",
    parallel: 6,
  },
};
