/**
 * What operators ask of replication (Apache: AdminBrokerProcessor, DefaultHAService.getRuntimeInfo), and what master and
 * slave tell each other about it.
 */
import type { Row } from "../protocol/dispatch.ts";
import { ResetMasterFlushOffsetHeader } from "../protocol/generated/headers.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { type BrokerParts, ok, refuse, requestRow } from "./parts.ts";

/** Replication as operators see it; whoever replicates provides it. */
export interface HaView {
  /** The slaves of a master. */
  slaves(): readonly {
    addr: string;
    slaveAckOffset: number;
    diff: number;
    inSync: boolean;
    transferFromWhere: number;
    transferredByteInSecond: number;
  }[];
  /** A slave's connection to its master; undefined on a master. */
  master():
    | {
        masterAddr: string | undefined;
        lastReadTimestamp: number;
        lastWriteTimestamp: number;
        transferredByteInSecond: number;
      }
    | undefined;
}

type Parts = Pick<BrokerParts, "config" | "store"> & { readonly ha?: HaView };

const MASTER_ID = 0;
const NO_CONTROLLER =
  "enableControllerMode has no effect: brokers that a Controller makes masters and slaves are not part of this version yet";

export function haRows({ config, store, ha }: Parts): Row[] {
  // A slave notes it in its checkpoint; a master takes it and does nothing.
  let masterFlushOffset = 0;
  return [
    requestRow("GET_BROKER_HA_STATUS", undefined, () => {
      const master = ha?.master();
      const slaves = master === undefined ? (ha?.slaves() ?? []) : [];
      return ok(
        undefined,
        writeJavaJson({
          haClientRuntimeInfo: {
            lastReadTimestamp: master?.lastReadTimestamp ?? 0,
            lastWriteTimestamp: master?.lastWriteTimestamp ?? 0,
            masterAddr: master?.masterAddr,
            masterFlushOffset,
            maxOffset: master === undefined ? 0 : store.maxLogOffset(),
            transferredByteInSecond: master?.transferredByteInSecond ?? 0,
          },
          haConnectionInfo: slaves,
          inSyncSlaveNums: slaves.filter((slave) => slave.inSync).length,
          master: master === undefined,
          masterCommitLogMaxOffset: master === undefined ? store.maxLogOffset() : 0,
        }),
      );
    }),
    requestRow("RESET_MASTER_FLUSH_OFFSET", ResetMasterFlushOffsetHeader, ({ header }) => {
      if (config.brokerId !== MASTER_ID) masterFlushOffset = header.masterFlushOffset ?? masterFlushOffset;
      return ok();
    }),
    requestRow("GET_BROKER_EPOCH_CACHE", undefined, () =>
      refuse("SYSTEM_ERROR", config.enableControllerMode ? NO_CONTROLLER : "this request only for controllerMode "),
    ),
  ];
}
