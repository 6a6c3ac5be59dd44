/**
 * The frames between master and slave of a Controller's group (Apache: AutoSwitchHAConnection, AutoSwitchHAClient). All
 * numbers are big-endian; `state` is the ordinal of HAConnectionState.
 *
 *   slave  -> master   [1][from last file 2][learner 2][broker id 8]                          handshake
 *   master -> slave    [1][body bytes 4][log end 8][newest epoch 4]([epoch 4][start 8])*      its epochs
 *   slave  -> master   [2][offset 8]                                                          has everything below
 *   master -> slave    [2][body bytes 4][log offset 8][epoch 4][epoch's start 8][confirm offset 8][bytes of the log]
 *
 * A frame of log bytes without any is a heartbeat. Bytes of one frame belong to one epoch.
 */
import { Buffer } from "node:buffer";
import { readInt64OrMinus1, writeInt32, writeInt64 } from "../../base/int64.ts";
import type { EpochEntry } from "./epochFile.ts";

export const STATE_HANDSHAKE = 1;
export const STATE_TRANSFER = 2;
export const STATE_BYTES = 4;

export const SLAVE_HANDSHAKE_BYTES = 16;
export const REPORT_BYTES = 12;
export const EPOCHS_HEADER_BYTES = 20;
export const TRANSFER_HEADER_BYTES = 36;
export const EPOCH_BYTES = 12;

export interface SlaveHandshake {
  /** The slave is new and wants the newest file only. */
  fromLastFile: boolean;
  /** The slave never counts as one that holds everything. */
  learner: boolean;
  brokerId: number;
}

export function encodeSlaveHandshake({ fromLastFile, learner, brokerId }: SlaveHandshake): Buffer {
  const frame = Buffer.alloc(SLAVE_HANDSHAKE_BYTES);
  writeInt32(frame, STATE_HANDSHAKE, 0);
  frame.writeInt16BE(fromLastFile ? 1 : 0, 4);
  frame.writeInt16BE(learner ? 1 : 0, 6);
  writeInt64(frame, brokerId, 8);
  return frame;
}

export function readSlaveHandshake(frame: Buffer): SlaveHandshake {
  return {
    fromLastFile: frame.readInt16BE(4) === 1,
    learner: frame.readInt16BE(6) === 1,
    brokerId: readInt64OrMinus1(frame, 8),
  };
}

export function encodeReport(logOffset: number): Buffer {
  const frame = Buffer.alloc(REPORT_BYTES);
  writeInt32(frame, STATE_TRANSFER, 0);
  writeInt64(frame, logOffset, 4);
  return frame;
}

/** The master's answer to a handshake. */
export function encodeEpochsFrame(entries: readonly EpochEntry[], logEnd: number): Buffer {
  const frame = Buffer.alloc(EPOCHS_HEADER_BYTES + entries.length * EPOCH_BYTES);
  writeInt32(frame, STATE_HANDSHAKE, 0);
  writeInt32(frame, entries.length * EPOCH_BYTES, 4);
  writeInt64(frame, logEnd, 8);
  writeInt32(frame, entries.at(-1)?.epoch ?? -1, 16);
  entries.forEach(({ epoch, startOffset }, i) => {
    const at = EPOCHS_HEADER_BYTES + i * EPOCH_BYTES;
    writeInt32(frame, epoch, at);
    writeInt64(frame, startOffset, at + 4);
  });
  return frame;
}

/** The body of {@link encodeEpochsFrame}. */
export function readEpochs(body: Buffer): EpochEntry[] {
  const entries: EpochEntry[] = [];
  for (let at = 0; at + EPOCH_BYTES <= body.length; at += EPOCH_BYTES) {
    entries.push({ epoch: body.readInt32BE(at), startOffset: readInt64OrMinus1(body, at + 4) });
  }
  return entries;
}

export interface TransferHeader {
  bodyBytes: number;
  logOffset: number;
  epoch: number;
  epochStart: number;
  /** Everything below is on all brokers that must have it. */
  confirmOffset: number;
}

/** Writes the head into `frame`, which has room for it. */
export function writeTransferHeader(frame: Buffer, header: TransferHeader): void {
  writeInt32(frame, STATE_TRANSFER, 0);
  writeInt32(frame, header.bodyBytes, 4);
  writeInt64(frame, header.logOffset, 8);
  writeInt32(frame, header.epoch, 16);
  writeInt64(frame, header.epochStart, 20);
  writeInt64(frame, header.confirmOffset, 28);
}

export function readTransferHeader(frame: Buffer): TransferHeader {
  return {
    bodyBytes: frame.readInt32BE(4),
    logOffset: readInt64OrMinus1(frame, 8),
    epoch: frame.readInt32BE(16),
    epochStart: readInt64OrMinus1(frame, 20),
    confirmOffset: readInt64OrMinus1(frame, 28),
  };
}
