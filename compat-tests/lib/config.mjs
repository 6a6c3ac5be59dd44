// Java properties files for the servers, the same keys for both.

import { writeFileSync } from "node:fs";

/** Writes a flat object as a properties file. */
export function writeProperties(file, values) {
  const lines = Object.entries(values).map(([key, value]) => `${key}=${String(value).replaceAll("\\", "\\\\")}`);
  writeFileSync(file, `${lines.join("\n")}\n`);
}

/**
 * broker.conf for one broker on loopback.
 * @param {{ brokerPort: number, namesrvAddr: string, store: string, settings: Record<string, unknown> }} options
 */
export function brokerProperties({ brokerPort, namesrvAddr, store, settings }) {
  return {
    brokerClusterName: "DefaultCluster",
    brokerName: "broker-a",
    brokerId: 0,
    brokerRole: "ASYNC_MASTER",
    flushDiskType: "ASYNC_FLUSH",
    brokerIP1: "127.0.0.1",
    brokerIP2: "127.0.0.1",
    listenPort: brokerPort,
    namesrvAddr,
    storePathRootDir: store,
    storePathCommitLog: `${store}/commitlog`,
    mappedFileSizeCommitLog: 64 * 1024 * 1024,
    mappedFileSizeConsumeQueue: 20 * 10_000,
    // A busy two-core machine must not turn into refusals: Apache drops sends that waited 200 ms in its queue.
    waitTimeMillsInSendQueue: 10_000,
    waitTimeMillsInPullQueue: 15_000,
    // Apache's TransactionFlushService asks for the time in a loop, one core full, until its first interval of 10 s is over.
    transactionMetricFlushInterval: 500,
    ...settings,
  };
}
