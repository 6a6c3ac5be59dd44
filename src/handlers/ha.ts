/**
 * What a lone master says about its slaves (Apache: AdminBrokerProcessor, DefaultHAService.getRuntimeInfo). There is no
 * replication yet, so there are none.
 */
import type { Row } from "../protocol/dispatch.ts";
import { ResetMasterFlushOffsetHeader } from "../protocol/generated/headers.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { type BrokerParts, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "store">;

const NO_REPLICATION = "replication is not part of this version yet";
const MASTER_ID = 0;

export function haRows({ config, store }: Parts): Row[] {
  return [
    requestRow("GET_BROKER_HA_STATUS", undefined, () => {
      if (config.brokerRole === "SLAVE") return refuse("SYSTEM_ERROR", NO_REPLICATION);
      return ok(
        undefined,
        writeJavaJson({
          haClientRuntimeInfo: {
            lastReadTimestamp: 0,
            lastWriteTimestamp: 0,
            masterFlushOffset: 0,
            maxOffset: 0,
            transferredByteInSecond: 0,
          },
          haConnectionInfo: [],
          inSyncSlaveNums: 0,
          master: true,
          masterCommitLogMaxOffset: store.maxLogOffset(),
        }),
      );
    }),
    // It tells a slave how far its master has flushed; a master takes it and does nothing.
    requestRow("RESET_MASTER_FLUSH_OFFSET", ResetMasterFlushOffsetHeader, () =>
      config.brokerId === MASTER_ID ? ok() : refuse("SYSTEM_ERROR", NO_REPLICATION),
    ),
    requestRow("GET_BROKER_EPOCH_CACHE", undefined, () =>
      refuse(
        "SYSTEM_ERROR",
        config.enableControllerMode
          ? `enableControllerMode has no effect: ${NO_REPLICATION}`
          : "this request only for controllerMode ",
      ),
    ),
  ];
}
