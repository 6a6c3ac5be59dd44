/**
 * What administrators and slaves ask of the timers (Apache: AdminBrokerProcessor.getTimerCheckPoint, getTimerMetrics,
 * switchTimerEngine), and how a refused timer message is told to its sender.
 */
import type { TimerRefusal } from "../broker/timer/timerTransform.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { type BrokerParts, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "timers">;

const ENGINE = "E_T";
const ENGINE_ROCKSDB = "R";
const ENGINE_FILES = "F";

export function timerRows(parts: Parts): Row[] {
  return [
    requestRow("GET_TIMER_CHECK_POINT", undefined, () => {
      const body = parts.timers.checkpoint();
      return body === undefined
        ? refuse("SYSTEM_ERROR", "The checkpoint is null: timerWheelEnable is false")
        : ok({}, body);
    }),
    requestRow("GET_TIMER_METRICS", undefined, () => {
      const body = parts.timers.metrics();
      return body === undefined
        ? refuse("SYSTEM_ERROR", "The timer message store is null: timerWheelEnable is false")
        : ok({}, body);
    }),
    requestRow("SWITCH_TIMER_ENGINE", undefined, (call) => switchEngine(parts, call)),
  ];
}

/** There is one engine, the wheel; asking for it changes nothing. Apache's other one keeps its timers in RocksDB. */
function switchEngine(parts: Parts, call: Call): Reply {
  if (!parts.config.timerWheelEnable) return refuse("INVALID_PARAMETER", "broker timerWheelEnable is false");
  const engine = call.field(ENGINE);
  if (engine === ENGINE_FILES) return { code: 0, remark: "switch timer engine success" };
  if (engine === ENGINE_ROCKSDB) {
    return refuse(
      "INVALID_PARAMETER",
      "timerRocksDBEnable must be configured true when broker start: there is no RocksDB in this broker, its timers lie in the wheel's files",
    );
  }
  return refuse("INVALID_PARAMETER", `param error: ${ENGINE} is ${engine ?? "missing"}, known are R and F`);
}

/** Apache's code and words (SendMessageProcessor.handlePutMessageResult), then the exact reason. */
export function timerReply(config: BrokerParts["config"], refusal: TimerRefusal): Reply {
  const { reason } = refusal;
  const limit = config.timerCongestNumEachSlot;
  switch (refusal.status) {
    case "illegal":
      return refuse(
        "MESSAGE_ILLEGAL",
        `timer message illegal, the delay time should not be bigger than the max delay ${config.timerMaxDelaySec * 1000}ms; ` +
          `or if set del msg, the delay time should be bigger than the current time: ${reason}`,
      );
    case "flowControl":
      return refuse(
        "SYSTEM_ERROR",
        `timer message is under flow control, max num limit is ${limit * 2} or the current value is greater than ${limit} ` +
          `and less than ${limit * 2}, trigger random flow control: ${reason}`,
      );
    case "notEnabled":
      return refuse("SYSTEM_ERROR", `accurate timer message is not enabled, timerWheelEnable is false: ${reason}`);
  }
}
