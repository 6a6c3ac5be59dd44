/** Store times of messages, and the search for a queue offset by them. */
import { STORE_TIME_BYTES, storeTimeOf } from "../message/record.ts";
import type { CommitLog } from "./commitLog.ts";
import type { ConsumeQueue } from "./consumeQueue.ts";
import type { LoneReads } from "./loneReads.ts";
import { readLog, readUnits } from "./lookup.ts";
import type { Boundary, QueueUnit } from "./types.ts";

/**
 * Store time of the message that a unit points to; -1 when its record is gone.
 * @param lone reads it when the next one asked about lies elsewhere: then the bytes around it are of no use
 */
export async function unitStoreTime(log: CommitLog, unit: QueueUnit, lone?: LoneReads): Promise<number> {
  const { logOffset } = unit;
  const start = await (lone?.bytes(logOffset, STORE_TIME_BYTES) ?? readLog(log, logOffset, STORE_TIME_BYTES));
  return start === undefined ? -1 : storeTimeOf(start);
}

/** Units of a search whose records may lie in the same block. */
const NEAR_UNITS = 256;

/**
 * Queue offset by store time (Apache: binarySearchInQueueByTime). LOWER: the first message not older than `timestampMs`,
 * or the queue's end; UPPER: the last one not younger, 0 when all are younger.
 */
export async function searchByTime(
  log: CommitLog,
  queue: ConsumeQueue,
  timestampMs: number,
  boundary: Boundary,
  lone: LoneReads,
): Promise<number> {
  let low = queue.min;
  let high = queue.max;
  const timeOf = async (at: number) => {
    const [unit] = await readUnits(queue, at, 1);
    return unit ? unitStoreTime(log, unit, high - low > NEAR_UNITS ? lone : undefined) : -1;
  };
  if (low === high) return boundary === "LOWER" ? low : 0;
  const first = queue.min;
  // LOWER looks for the first message with time >= t; UPPER for the first with time > t, and steps back.
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const time = await timeOf(middle);
    const before = boundary === "LOWER" ? time < timestampMs : time <= timestampMs;
    if (before) low = middle + 1;
    else high = middle;
  }
  if (boundary === "LOWER") return low;
  return low === first ? 0 : low - 1;
}
