/**
 * The dispatch table of a slave: the broker's, with refusals for what only a master does (Apache: rejectRequest of
 * SendMessageProcessor and PullMessageProcessor). Everything else that would write meets the closed gate of the store.
 */
import type { BrokerConfig } from "../config/index.ts";
import type { Reply, Row } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";

type Name = keyof typeof RequestCode;

const FLAG_ONEWAY = 0x2;
const REJECTED = "[REJECTREQUEST]system busy, start flow control for a while";

/** Clients take the code for a reason to try another broker. */
const NO_SENDS: Reply = {
  code: ResponseCode.SYSTEM_BUSY,
  remark: `${REJECTED}: this broker is a slave, messages go to its master`,
};
const NO_PULLS: Reply = {
  code: ResponseCode.SYSTEM_BUSY,
  remark: `${REJECTED}: this broker is a slave and slaveReadEnable is false`,
};
const NO_POPS: Reply = {
  code: ResponseCode.NO_PERMISSION,
  remark: "this broker is a slave: messages are popped and acknowledged at its master, which notes both in the log",
};
const NO_RESETS: Reply = {
  code: ResponseCode.SYSTEM_ERROR,
  remark: "Can not reset offset in slave broker",
};

const SENDS: readonly Name[] = ["SEND_MESSAGE", "SEND_MESSAGE_V2", "SEND_BATCH_MESSAGE", "CONSUMER_SEND_MSG_BACK"];
const PULLS: readonly Name[] = ["PULL_MESSAGE", "LITE_PULL_MESSAGE"];
const POPS: readonly Name[] = [
  "POP_MESSAGE",
  "POP_LITE_MESSAGE",
  "LITE_SUBSCRIPTION_CTL",
  "PEEK_MESSAGE",
  "ACK_MESSAGE",
  "BATCH_ACK_MESSAGE",
  "CHANGE_MESSAGE_INVISIBLETIME",
];
const RESETS: readonly Name[] = ["INVOKE_BROKER_TO_RESET_OFFSET"];

/** The rows of a slave. */
export function slaveRows(rows: readonly Row[], config: Pick<BrokerConfig, "slaveReadEnable">): Row[] {
  const refusals = new Map<number, { reply: Reply; refused: () => boolean }>();
  const refuse = (names: readonly Name[], reply: Reply, refused: () => boolean = () => true): void => {
    for (const name of names) refusals.set(RequestCode[name], { reply, refused });
  };
  refuse(SENDS, NO_SENDS);
  refuse(PULLS, NO_PULLS, () => !config.slaveReadEnable);
  refuse(POPS, NO_POPS);
  refuse(RESETS, NO_RESETS);
  return rows.map((row) => {
    const refusal = refusals.get(row.code);
    return refusal === undefined ? row : guarded(row, refusal.reply, refusal.refused);
  });
}

function guarded(row: Row, reply: Reply, refused: () => boolean): Row {
  const { hot, handle } = row;
  if (hot !== undefined) {
    return {
      ...row,
      hot: (call) => {
        if (!refused()) hot(call);
        else if ((call.view.flag & FLAG_ONEWAY) === 0) call.out.reply(call.view.opaque, call.view.serialization, reply);
      },
    };
  }
  return { ...row, handle: (call) => (refused() ? reply : handle(call)) };
}
