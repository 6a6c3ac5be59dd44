/** SyncStateSet, the body of a Controller's requests: the brokers of a group that hold everything confirmed. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { readBean, toInteger } from "./reader.ts";

export interface SyncStateSet {
  /** Ids that the Controller gave the brokers of a group; the master is among them. */
  brokerIds: Set<number>;
  /** Grows with each change. */
  epoch: number;
}

export function encodeSyncStateSet(set: SyncStateSet): string {
  return writeJavaJson({ syncStateSet: [...set.brokerIds], syncStateSetEpoch: set.epoch });
}

/** Also reads ElectMasterResponseBody, which has the ids under the same name and the epoch in the header. */
export function decodeSyncStateSet(body: Buffer | string): SyncStateSet {
  const bean = readBean("SyncStateSet", body);
  return {
    brokerIds: new Set(bean.list("syncStateSet", toInteger) ?? []),
    epoch: bean.integer("syncStateSetEpoch", 0),
  };
}
