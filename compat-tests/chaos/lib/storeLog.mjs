// The commit log of a store that nobody has open, as bytes: what a slave's must be of its master's, and how a broken one would look.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FILE = /^\d{20}$/;
/** In front of what is left empty at a file's end. */
const BLANK_MAGIC = 0xcbd43194;
const RECORD_MAGICS = new Set([0xdaa320a7, 0xdaa320ab]);
const PAGE = Buffer.alloc(64 * 1024);

/**
 * @typedef {object} StoreLog
 * @property {number} begin log offset of the first byte
 * @property {Buffer} bytes all files one behind the other, up to the last byte that is not zero
 * @property {number[]} records where each record that is there to its last byte begins, relative to `begin`
 * @property {number} end behind the last of them, relative to `begin`
 */

/** @returns {StoreLog} */
export function readStoreLog(store) {
  const dir = join(store, "commitlog");
  const names = readdirSync(dir)
    .filter((name) => FILE.test(name))
    .sort();
  const files = names.map((name) => readFileSync(join(dir, name)));
  for (let i = 1; i < names.length; i++) {
    if (Number(names[i]) !== Number(names[i - 1]) + files[i - 1].length)
      throw new Error(`${dir}: ${names[i]} does not follow ${names[i - 1]}`);
  }
  while (files.length > 0 && usedBytes(files.at(-1)) === 0) files.pop();
  // Files have their full size from the start: only what is used is kept, and not the buffer around it.
  const last = files.pop() ?? Buffer.alloc(0);
  const bytes = Buffer.concat([...files, last.subarray(0, usedBytes(last))]);
  return { begin: Number(names[0] ?? 0), bytes, ...walk(bytes) };
}

function usedBytes(bytes) {
  let end = bytes.length;
  while (end >= PAGE.length && bytes.subarray(end - PAGE.length, end).equals(PAGE)) end -= PAGE.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

function walk(bytes) {
  const records = [];
  let at = 0;
  let end = 0;
  while (at + 8 <= bytes.length) {
    const size = bytes.readInt32BE(at);
    const magic = bytes.readUInt32BE(at + 4);
    // The last byte of a record's properties is not zero: one that ends behind what is used has not arrived whole.
    if ((magic !== BLANK_MAGIC && !RECORD_MAGICS.has(magic)) || at + size > bytes.length) break;
    if (magic !== BLANK_MAGIC) records.push(at);
    at += size;
    end = at;
  }
  return { records, end };
}

/** What makes this no copy of the beginning of its master's log; undefined: it is one. */
export function notItsBeginning(slave, master) {
  if (slave.begin !== master.begin) return `it begins at ${slave.begin}, the master's at ${master.begin}`;
  const { bytes } = slave;
  if (bytes.length > master.bytes.length)
    return `it has ${bytes.length - master.bytes.length} bytes that the master lacks`;
  if (bytes.equals(master.bytes.subarray(0, bytes.length))) return undefined;
  const at = bytes.findIndex((byte, i) => byte !== master.bytes[i]);
  return `it differs from log offset ${slave.begin + at} on`;
}

/** A fingerprint of the first `end` bytes. */
export function fingerprint({ bytes }, end) {
  return createHash("sha256").update(bytes.subarray(0, end)).digest("hex");
}

/** Copies of a log with one defect each: none of them may pass for the beginning of its master's. */
export function brokenCopies(log) {
  const at = log.records[log.records.length >> 1];
  const record = log.bytes.subarray(at, at + log.bytes.readInt32BE(at));
  const [before, after] = [log.bytes.subarray(0, at), log.bytes.subarray(at + record.length)];
  const copy = (bytes) => ({ ...log, bytes });
  const altered = Buffer.from(log.bytes);
  altered[at + record.length - 2] ^= 1;
  return {
    lost: copy(Buffer.concat([before, after])),
    altered: copy(altered),
    doubled: copy(Buffer.concat([before, record, record, after])),
  };
}
