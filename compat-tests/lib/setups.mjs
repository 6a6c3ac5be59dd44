// The servers the scenarios need. A setup is a broker configuration; both servers get the same keys.

/** Short delays: retries use level 3 and up, so that a message dies in seconds. Level 18 is the last. */
const SHORT_DELAYS = ["1s", "2s", "3s", ...Array(14).fill("1s"), "4s"].join(" ");

export const SETUPS = {
  standard: { settings: { messageDelayLevel: SHORT_DELAYS }, layout: "one", parallel: 8 },
  // NameServer and broker as separate processes; its scenarios stop one of them, so they run alone.
  faults: { settings: { messageDelayLevel: SHORT_DELAYS }, layout: "split", parallel: 1 },
  strict: {
    settings: { autoCreateTopicEnable: false, autoCreateSubscriptionGroup: false },
    layout: "one",
    parallel: 4,
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
