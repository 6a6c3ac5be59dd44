/**
 * What operators ask of replication (Apache: AdminBrokerProcessor, DefaultHAService.getRuntimeInfo), and what master and
 * slave tell each other about it.
 */
import type { Row } from "../protocol/dispatch.ts";
import {
  ExchangeHAInfoRequestHeader,
  NotifyBrokerRoleChangedRequestHeader,
  ResetMasterFlushOffsetHeader,
} from "../protocol/generated/headers.ts";
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
        /** It sends its log at this moment. */
        connected: boolean;
        lastReadTimestamp: number;
        lastWriteTimestamp: number;
        transferredByteInSecond: number;
      }
    | undefined;
}

/** What a broker under a Controller adds. */
export interface ControllerView {
  readonly epochs: { readonly entries: readonly { epoch: number; startOffset: number }[] };
  /** Roles may have changed: asks the Controller. */
  look(): void;
}

type Parts = Pick<BrokerParts, "config" | "store" | "address"> & {
  readonly ha?: HaView;
  readonly controller?: ControllerView | undefined;
};

const MASTER_ID = 0;
/** How Java writes an end that is not there yet. */
const LONG_MAX = 9223372036854775807n;

export function haRows({ config, store, address, ha, controller }: Parts): Row[] {
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
    // A slave asks without an address and is told the master's. Apache's BrokerContainer also tells slaves one; only the
    // NameServer's word and haMasterAddress count here, or anybody could make a slave follow him.
    requestRow("EXCHANGE_BROKER_HA_INFO", ExchangeHAInfoRequestHeader, ({ header }) => {
      if (header.masterHaAddress) {
        return refuse(
          "NO_PERMISSION",
          "a slave learns its master's address from the NameServer or from haMasterAddress",
        );
      }
      if (config.brokerId !== MASTER_ID) return ok();
      return ok({
        masterHaAddress: `${config.brokerIP2 ?? config.brokerIP1}:${config.haListenPort}`,
        masterFlushOffset: store.maxLogOffset(),
        masterAddress: address(),
      });
    }),
    requestRow("RESET_MASTER_FLUSH_OFFSET", ResetMasterFlushOffsetHeader, ({ header }) => {
      if (config.brokerId !== MASTER_ID) masterFlushOffset = header.masterFlushOffset ?? masterFlushOffset;
      return ok();
    }),
    requestRow("GET_BROKER_EPOCH_CACHE", undefined, () => {
      if (controller === undefined) return refuse("SYSTEM_ERROR", "this request only for controllerMode ");
      const { entries } = controller.epochs;
      return ok(
        undefined,
        writeJavaJson({
          brokerId: config.brokerId,
          brokerName: config.brokerName,
          clusterName: config.brokerClusterName,
          epochList: entries.map(({ epoch, startOffset }, i) => ({
            endOffset: entries[i + 1]?.startOffset ?? LONG_MAX,
            epoch,
            startOffset,
          })),
          maxOffset: store.maxLogOffset(),
        }),
      );
    }),
    // Anybody could send it, so only the Controller's own word counts. Without a Controller Apache does nothing, too.
    requestRow("NOTIFY_BROKER_ROLE_CHANGED", NotifyBrokerRoleChangedRequestHeader, () => {
      controller?.look();
      return ok();
    }),
  ];
}
