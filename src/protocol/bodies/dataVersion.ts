/** DataVersion: tells whether two copies of a table are the same one, and which is newer. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { type Bean, readBean } from "./reader.ts";

export interface DataVersion {
  /** Changes since the process started. */
  counter: number;
  /** Term of the broker's controller role; 0 without a controller. */
  stateVersion: number;
  /** Time of the last change, ms since the epoch. */
  timestamp: number;
}

/** What Apache's NameServer assumes of a broker that sends no version. */
export const DATA_VERSION_ZERO: Readonly<DataVersion> = { counter: 0, stateVersion: 0, timestamp: 0 };

export function sameDataVersion(a: DataVersion, b: DataVersion): boolean {
  return a.counter === b.counter && a.stateVersion === b.stateVersion && a.timestamp === b.timestamp;
}

/** The version after one more change at `now`. */
export function nextDataVersion(version: DataVersion, now: number, stateVersion = 0): DataVersion {
  return { counter: version.counter + 1, stateVersion, timestamp: now };
}

export function encodeDataVersion(version: DataVersion): string {
  return writeJavaJson(version);
}

export function decodeDataVersion(body: Buffer | string): DataVersion {
  return readDataVersion(readBean("DataVersion", body));
}

/** Absent fields count as 0: Apache takes the time of reading for `timestamp`, which no two readers share. */
export function readDataVersion(bean: Bean): DataVersion {
  return {
    counter: bean.integer("counter", 0),
    stateVersion: bean.integer("stateVersion", 0),
    timestamp: bean.integer("timestamp", 0),
  };
}
