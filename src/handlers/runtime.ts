/** Figures of the running broker as a table of texts (Apache: AdminBrokerProcessor.prepareRuntimeInfo). */
import { encodeKVTable } from "../protocol/bodies/kvTable.ts";
import type { Row } from "../protocol/dispatch.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { versionName } from "../protocol/versionName.ts";
import { type BrokerParts, ok, requestRow } from "./parts.ts";

type Parts = Pick<
  BrokerParts,
  "config" | "clock" | "store" | "storeOps" | "counters" | "stats" | "schedule" | "timers"
>;

const POOLS = ["send", "pull", "litePull", "query", "ack"] as const;
/** What Apache answers without a transient store pool. */
const JAVA_INT_MAX = 2_147_483_647;
const UNITS = ["Ki", "Mi", "Gi", "Ti", "Pi"];

export function runtimeRows(parts: Parts): Row[] {
  return [
    requestRow("GET_BROKER_RUNTIME_INFO", undefined, async () =>
      ok(undefined, encodeKVTable(await runtimeInfo(parts))),
    ),
  ];
}

/**
 * Apache's keys, all of them: exporters parse some without looking whether they are there. Pool queues are always empty
 * because no request waits for a thread, dispatch is never behind because a message is dispatched before it is
 * acknowledged, and there is no transient store pool.
 */
async function runtimeInfo(parts: Parts): Promise<Map<string, string>> {
  const { config, clock, store, storeOps, counters, stats } = parts;
  const { putTimes } = stats;
  const info = new Map<string, string>();
  const put = (key: string, value: string | number | boolean): void => {
    info.set(key, String(value));
  };
  const space = storeOps.space();
  const used = usedRatio(space.totalBytes, space.availableBytes);
  const { now, todayMorning, yesterdayMorning } = counters.days;

  put("bootTimestamp", counters.startedAt);
  put("runtime", formatRuntime(clock.now() - counters.startedAt));
  put("brokerActive", true);
  put("brokerVersionDesc", versionName(MQVersion.V5_5_0));
  put("startAcceptSendRequestTimeStamp", config.startAcceptSendRequestTimeStamp);

  put("putMessageEntireTimeMax", putTimes.maxMs);
  put("putMessageDistributeTime", putTimes.distribution());
  put("putLatency99", putTimes.percentileMs(0.99).toFixed(2));
  put("putLatency999", putTimes.percentileMs(0.999).toFixed(2));
  put("getMessageEntireTimeMax", counters.getTimeMaxMs);
  put("dispatchMaxBuffer", 0);
  put("putMessageTimesTotal", Math.max(1, counters.puts));
  put("putMessageFailedTimes", counters.putFailures);
  put("putMessageSizeTotal", counters.putBytes);
  put("putMessageAverageSize", javaDouble(counters.putBytes / Math.max(1, counters.puts)));
  put("putTps", rates(counters.rates((c) => c.puts)));
  put("getFoundTps", rates(counters.rates((c) => c.found)));
  put("getMissTps", rates(counters.rates((c) => c.missed)));
  // Only this one has a figure for a window that has not passed.
  put("getTotalTps", rates(counters.rates((c) => c.found + c.missed).map((rate) => rate ?? 0)));
  put("getTransferredTps", rates(counters.rates((c) => c.transferred)));
  put("msgPutTotalYesterdayMorning", yesterdayMorning.put);
  put("msgPutTotalTodayMorning", todayMorning.put);
  put("msgPutTotalTodayNow", now.put);
  put("msgGetTotalYesterdayMorning", yesterdayMorning.got);
  put("msgGetTotalTodayMorning", todayMorning.got);
  put("msgGetTotalTodayNow", now.got);

  put("commitLogMinOffset", store.minLogOffset());
  put("commitLogMaxOffset", store.maxLogOffset());
  put("commitLogDiskRatio", used);
  put(`commitLogDiskRatio_${storeOps.commitLogPath}`, used);
  put("consumeQueueDiskRatio", used);
  put("commitLogDirCapacity", `Total : ${humanBytes(space.totalBytes)}, Free : ${humanBytes(space.availableBytes)}.`);
  put("earliestMessageTimeStamp", (await store.messageAt(store.minLogOffset()))?.storeTimestamp ?? -1);
  put("remainHowManyDataToFlush", humanBytes(storeOps.flushBehindBytes()));
  put("dispatchBehindBytes", 0);
  put("pageCacheLockTimeMills", 0);
  put("remainTransientStoreBufferNumbs", JAVA_INT_MAX);

  for (const [key, value] of parts.schedule.runningStats()) put(key, value);
  for (const [key, value] of parts.timers.runningStats()) put(key, value);
  for (const pool of POOLS) {
    put(`${pool}ThreadPoolQueueSize`, 0);
    put(`${pool}ThreadPoolQueueCapacity`, config[`${pool}ThreadPoolQueueCapacity`]);
    put(`${pool}ThreadPoolQueueHeadWaitTimeMills`, 0);
  }
  put("EndTransactionQueueSize", 0);
  put("EndTransactionThreadPoolQueueCapacity", config.endTransactionPoolQueueCapacity);
  return info;
}

/** Three figures with a blank between them; tools split there and take what they find, also nothing. */
function rates(perSecond: (number | undefined)[]): string {
  return perSecond.map((rate) => (rate === undefined ? "" : javaDouble(rate))).join(" ");
}

/** Double.toString for the sizes that occur here. */
function javaDouble(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/** Used share of a disk, rounded up to a whole percent (UtilAll.getDiskPartitionSpaceUsedPercent). */
function usedRatio(totalBytes: number, availableBytes: number): string {
  if (totalBytes <= 0) return "-1.0";
  return javaDouble(Math.ceil(((totalBytes - availableBytes) * 100) / totalBytes) / 100);
}

/** `1.5 GiB`, as MixAll.humanReadableByteCount. */
function humanBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const exponent = Math.min(Math.floor(Math.log(bytes) / Math.log(1024)), UNITS.length);
  return `${(bytes / 1024 ** exponent).toFixed(1)} ${UNITS[exponent - 1]}B`;
}

function formatRuntime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const part = (unit: number, modulus: number): number => Math.floor(seconds / unit) % modulus;
  const days = Math.floor(seconds / 86_400);
  return `[ ${days} days, ${part(3600, 24)} hours, ${part(60, 60)} minutes, ${part(1, 60)} seconds ]`;
}
