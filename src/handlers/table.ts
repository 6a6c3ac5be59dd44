/** The broker's dispatch table: what it answers is what is listed here, each row with what its requests want. */
import { accessOf } from "../auth/accessRules.ts";
import type { BroadcastOffsets } from "../broker/broadcastOffsets.ts";
import type { Lites } from "../broker/lite/lites.ts";
import type { Pops } from "../broker/pop/pops.ts";
import type { PullHolds } from "../broker/pullHolds.ts";
import type { RequestModes } from "../broker/requestModes.ts";
import type { TopicRoutes } from "../broker/topicRoutes.ts";
import type { Transactions } from "../broker/transactions.ts";
import type { Row } from "../protocol/dispatch.ts";
import type { MessageStore } from "../store/messageStore.ts";
import { ackRows } from "./ack.ts";
import { assignmentRows } from "./assignment.ts";
import { type AuthAdminParts, authAdminRows } from "./authAdmin.ts";
import { brokerConfigRows } from "./brokerConfig.ts";
import { brokerStatsRows } from "./brokerStats.ts";
import { changeInvisibleRows } from "./changeInvisible.ts";
import { cleaningRows } from "./cleaning.ts";
import { clientRows } from "./clients.ts";
import { coldDataRows } from "./coldData.ts";
import { connectionRows } from "./connections.ts";
import { consumeStatsRows } from "./consumeStats.ts";
import { dumpRows } from "./dumps.ts";
import { endTransactionRows } from "./endTransaction.ts";
import { groupAdminRows } from "./groupAdmin.ts";
import { type ControllerView, type HaView, haRows } from "./ha.ts";
import { halfMessageRows } from "./halfMessages.ts";
import { liteRows } from "./lite.ts";
import { liteInfoRows } from "./liteInfo.ts";
import { lockRows } from "./locks.ts";
import { messageRows } from "./messages.ts";
import { offsetRows } from "./offsets.ts";
import type { BrokerParts } from "./parts.ts";
import { popRows } from "./pop.ts";
import { popInfoRows } from "./popInfo.ts";
import { pullRows } from "./pull.ts";
import { queueRows } from "./queues.ts";
import { recallRows } from "./recall.ts";
import { relayRows } from "./relays.ts";
import { replyRows } from "./reply.ts";
import { resetOffsetRows } from "./resetOffset.ts";
import { runtimeRows } from "./runtime.ts";
import { sendRows } from "./send.ts";
import { sendBackRows } from "./sendBack.ts";
import { timerRows } from "./timers.ts";
import { topicAdminRows } from "./topicAdmin.ts";

export type TableParts = Omit<BrokerParts, "store"> & {
  readonly store: MessageStore;
  readonly holds: PullHolds;
  readonly broadcasts: BroadcastOffsets;
  readonly transactions: Transactions;
  readonly pops: Pops;
  readonly lites: Lites;
  readonly requestModes: RequestModes;
  readonly routes: TopicRoutes;
  readonly ha?: HaView;
  readonly auth?: AuthAdminParts["auth"];
  readonly controller?: ControllerView | undefined;
};

export function brokerRows(parts: TableParts): Row[] {
  const rows = [
    ...sendRows(parts),
    ...endTransactionRows(parts),
    ...halfMessageRows(parts),
    ...pullRows(parts),
    ...popRows(parts),
    ...ackRows(parts),
    ...changeInvisibleRows(parts),
    ...popInfoRows(parts),
    ...liteRows(parts),
    ...liteInfoRows(parts),
    ...assignmentRows(parts),
    ...sendBackRows(parts),
    ...clientRows(parts),
    ...offsetRows(parts),
    ...queueRows(parts),
    ...lockRows(parts),
    ...timerRows(parts),
    ...recallRows(parts),
    ...messageRows(parts),
    ...topicAdminRows(parts),
    ...groupAdminRows(parts),
    ...connectionRows(parts),
    ...consumeStatsRows(parts),
    ...resetOffsetRows(parts),
    ...relayRows(parts),
    ...replyRows(parts),
    ...brokerConfigRows(parts),
    ...runtimeRows(parts),
    ...brokerStatsRows(parts),
    ...cleaningRows(parts),
    ...coldDataRows(parts),
    ...haRows(parts),
    ...dumpRows(parts),
    ...authAdminRows(parts),
  ];
  return rows.map((row) => ({ ...row, access: accessOf(row) }));
}
