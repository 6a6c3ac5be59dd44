/** The options of the option table that the store obeys; names, units and defaults are Apache's (MessageStoreConfig). */
export interface StoreOptions {
  storePathRootDir: string;
  /** Unset or empty: `commitlog` below the root. */
  storePathCommitLog: string | undefined;
  /** Bytes of one commit log file. */
  mappedFileSizeCommitLog: number;
  /** Bytes of one ConsumeQueue file; rounded up to whole units. */
  mappedFileSizeConsumeQueue: number;
  /** Largest body, bytes. */
  maxMessageSize: number;
  flushDiskType: string;
  /** Period of the background sync under ASYNC_FLUSH, ms. */
  flushIntervalCommitLog: number;
  /** Period of writing ConsumeQueue units to their files, ms. */
  flushIntervalConsumeQueue: number;
  /** A SYNC_FLUSH append older than this is answered FLUSH_DISK_TIMEOUT, ms. */
  syncFlushTimeout: number;
  /** SYNC_MASTER waits for slaves, SLAVE takes messages from its master only. */
  brokerRole: string;
  /** Brokers, the master among them, that must have a message before SYNC_MASTER acknowledges it; with 1 it does not wait. */
  inSyncReplicas: number;
  /** A Controller says who is master: then SYNC_MASTER waits with allAckInSyncStateSet for all that hold everything. */
  enableControllerMode: boolean;
  allAckInSyncStateSet: boolean;
  /** A SYNC_MASTER append older than this is answered FLUSH_SLAVE_TIMEOUT, ms. */
  slaveTimeout: number;
  /** Hours. */
  fileReservedTime: number;
  /** Hours of the day, `;`-separated. */
  deleteWhen: string;
  /** Between looks for files to delete, ms. */
  cleanResourceInterval: number;
  /** Commit log files removed per look. */
  deleteFileBatchMax: number;
  /** Percent of the disk; kept within 10 to 95. */
  diskMaxUsedSpaceRatio: number;
  /** Percent of the disk; kept within 30 to 85. */
  diskSpaceCleanForciblyRatio: number;
  /** Percent of the disk; kept within 35 to 90. */
  diskSpaceWarningLevelRatio: number;
  cleanFileForciblyEnable: boolean;
  messageIndexEnable: boolean;
  maxHashSlotNum: number;
  maxIndexNum: number;
  /** With enableMultiDispatch: messages are listed in the light queues that they name. */
  enableLmq: boolean;
  enableMultiDispatch: boolean;
  /** Light queues are not made beyond maxLmqConsumeQueueNum. */
  enableLmqQuota: boolean;
  maxLmqConsumeQueueNum: number;
}

export const STORE_DEFAULTS: StoreOptions = {
  storePathRootDir: "./data",
  storePathCommitLog: "",
  mappedFileSizeCommitLog: 1024 * 1024 * 1024,
  mappedFileSizeConsumeQueue: 300_000 * 20,
  maxMessageSize: 4 * 1024 * 1024,
  flushDiskType: "ASYNC_FLUSH",
  flushIntervalCommitLog: 500,
  flushIntervalConsumeQueue: 1000,
  syncFlushTimeout: 5000,
  brokerRole: "ASYNC_MASTER",
  inSyncReplicas: 1,
  enableControllerMode: false,
  allAckInSyncStateSet: false,
  slaveTimeout: 3000,
  fileReservedTime: 72,
  deleteWhen: "04",
  cleanResourceInterval: 10_000,
  deleteFileBatchMax: 10,
  diskMaxUsedSpaceRatio: 75,
  diskSpaceCleanForciblyRatio: 85,
  diskSpaceWarningLevelRatio: 90,
  cleanFileForciblyEnable: true,
  messageIndexEnable: true,
  maxHashSlotNum: 5_000_000,
  maxIndexNum: 20_000_000,
  enableLmq: false,
  enableMultiDispatch: false,
  enableLmqQuota: false,
  maxLmqConsumeQueueNum: 20_000,
};
