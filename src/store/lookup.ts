/** Reading single messages and queue units: the paths that may wait for the disk. */
import { Buffer } from "node:buffer";
import { readInt64OrMinus1 } from "../base/int64.ts";
import { parseProperties } from "../message/properties.ts";
import { RECORD_BYTES_MIN, RecordView } from "../message/record.ts";
import type { CommitLog } from "./commitLog.ts";
import { type ConsumeQueue, foundAt } from "./consumeQueue.ts";
import type { QueueUnit, StoredMessage } from "./types.ts";

/** Copies `[offset, offset + bytes)` of the log, loading it if need be. */
export async function readLog(log: CommitLog, offset: number, bytes: number): Promise<Buffer | undefined> {
  if (offset < log.first || offset + bytes > log.written) return undefined;
  const buf = Buffer.allocUnsafe(bytes);
  // A block may be pushed out between its load and the copy when many readers are cold; a few rounds always do.
  for (let round = 0; round < 8; round++) {
    if (log.copy(offset, bytes, buf, 0)) return buf;
    await log.load(offset, bytes);
  }
  return undefined;
}

/** The message whose record begins at `offset`; undefined when no whole, undamaged record does. */
export async function readMessage(log: CommitLog, offset: number): Promise<StoredMessage | undefined> {
  const head = await readLog(log, offset, 4);
  const bytes = head?.readInt32BE(0) ?? 0;
  if (bytes < RECORD_BYTES_MIN || bytes > log.recordBytesMax) return undefined;
  const buf = await readLog(log, offset, bytes);
  if (!buf) return undefined;
  const view = new RecordView();
  if (view.read(buf, 0, bytes, true) !== "record" || view.logOffset !== offset || !view.isPlausible()) return undefined;
  return toMessage(view);
}

export function toMessage(view: RecordView): StoredMessage {
  return {
    topic: view.topic(),
    queueId: view.queueId,
    flag: view.flag,
    sysFlag: view.sysFlag,
    queueOffset: view.queueOffset,
    logOffset: view.logOffset,
    bornTimestamp: view.bornTimestamp,
    bornHost: view.bornHost(),
    storeTimestamp: view.storeTimestamp,
    storeHost: view.storeHost(),
    reconsumeTimes: view.reconsumeTimes,
    preparedTransactionOffset: view.preparedTransactionOffset,
    body: view.body(),
    properties: parseProperties(view.properties()),
    bytes: view.buf.subarray(view.at, view.at + view.totalBytes),
  };
}

/** Units `[from, from + count)` of a queue, cut to what exists. */
export async function readUnits(queue: ConsumeQueue, from: number, count: number): Promise<QueueUnit[]> {
  const units: QueueUnit[] = [];
  const stop = Math.min(queue.max, from + count);
  for (let at = Math.max(from, queue.min); at < stop; at++) {
    let buf = queue.unitBuffer(at);
    for (let round = 0; buf === undefined && round < 8; round++) {
      await queue.load1(at);
      buf = queue.unitBuffer(at);
    }
    if (buf === undefined) throw new Error(`${queue.topic}-${queue.queueId}: unit ${at} cannot be read`);
    const p = foundAt;
    units.push({
      queueOffset: at,
      logOffset: readInt64OrMinus1(buf, p),
      bytes: buf.readInt32BE(p + 8),
      tagsCode: readInt64OrMinus1(buf, p + 12),
    });
  }
  return units;
}
