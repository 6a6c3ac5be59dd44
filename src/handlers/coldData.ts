/**
 * Cold reads: thresholds per group and the read-ahead of the log (Apache: ColdDataCgCtrService, CommitLog).
 *
 * Apache throttles groups that read old messages only with coldDataFlowControlEnable=true, because they push new ones
 * out of the page cache it lives on. Here the newest messages lie in memory of their own, nothing is throttled, and the
 * thresholds are kept and shown as Apache does with that option off: until the stop. With it on they are refused.
 */
import { COLD_GROUPS_MAX } from "../base/limits.ts";
import { parseProperties } from "../config/index.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { type BrokerParts, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "log">;

const NOT_THROTTLED =
  "coldDataFlowControlEnable has no effect: reads of old messages are not throttled, they never evict the newest ones";
/** Extension field of SET_COMMITLOG_READ_MODE, and its values (madvise). */
const READ_MODE = "READ_AHEAD_MODE";
const NORMAL = 0;
const RANDOM = 1;

export function coldDataRows(parts: Parts): Row[] {
  const { config, log } = parts;
  /** Bytes that a group may read per round, by group. */
  const thresholds = new Map<string, number>();
  return [
    requestRow("UPDATE_COLD_DATA_FLOW_CTR_CONFIG", undefined, (call) => update(parts, thresholds, call)),
    requestRow("REMOVE_COLD_DATA_FLOW_CTR_CONFIG", undefined, (call) => {
      const group = call.body.toString("utf8");
      if (thresholds.delete(group)) log.info({ group, caller: call.caller.address }, "cold read threshold removed");
      return ok();
    }),
    requestRow("GET_COLD_DATA_FLOW_CTR_INFO", undefined, () =>
      ok(
        undefined,
        writeJavaJson(
          new Map<string, unknown>([
            ["runtimeTable", new Map()],
            ["configTable", thresholds],
            ["cgColdReadThreshold", config.cgColdReadThreshold],
            ["globalColdReadThreshold", config.globalColdReadThreshold],
            ["globalAcc", 0],
          ]),
        ),
      ),
    ),
    requestRow("SET_COMMITLOG_READ_MODE", undefined, setReadMode),
  ];
}

/** All entries are taken or none; Apache passes over wrong numbers in silence. */
function update({ config, log }: Parts, thresholds: Map<string, number>, call: Call): Reply {
  if (config.coldDataFlowControlEnable) return refuse("SYSTEM_ERROR", NOT_THROTTLED);
  const entries = [...parseProperties(call.body.toString("utf8"))];
  for (const [group, text] of entries) {
    if (!/^[+-]?\d{1,15}$/.test(text)) return refuse("INVALID_PARAMETER", `${group}=${text}: not a number of bytes`);
  }
  if (thresholds.size + entries.length > COLD_GROUPS_MAX) {
    return refuse(
      "SYSTEM_ERROR",
      `there are ${thresholds.size} thresholds already, at most ${COLD_GROUPS_MAX} are kept`,
    );
  }
  for (const [group, text] of entries) thresholds.set(group, Number(text));
  log.info({ entries: entries.map((entry) => entry.join("=")), caller: call.caller.address }, "cold read thresholds");
  return ok();
}

/** The log is read in blocks, ahead of what is asked for: that is the normal mode, and there is no other. */
function setReadMode(call: Call): Reply {
  const text = call.field(READ_MODE);
  if (text === undefined) return refuse("SYSTEM_ERROR", "set commitlog readahead mode param error");
  const mode = Number(text);
  if (mode === NORMAL) return { ...ok(), remark: `set commitlog readahead mode success, mode: ${mode}` };
  if (mode !== RANDOM) return refuse("INVALID_PARAMETER", "set commitlog readahead mode param value error");
  return refuse(
    "SYSTEM_ERROR",
    "set commitlog readahead mode failed: the log is read by position, not through a memory map that could be advised",
  );
}
