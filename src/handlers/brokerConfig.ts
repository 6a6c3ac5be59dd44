/** The broker's options over the wire: `mqadmin getBrokerConfig` and `updateBrokerConfig` (Apache: Configuration). */
import {
  ConfigError,
  effectiveConfig,
  forbiddenBrokerKeys,
  formatProperties,
  namesFiles,
  parseProperties,
  type Updated,
  updateBrokerConfig,
} from "../config/index.ts";
import { type DataVersion, encodeDataVersion, nextDataVersion } from "../protocol/bodies/dataVersion.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { type BrokerParts, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "configFile" | "clock" | "log" | "topics" | "registration">;

export function brokerConfigRows(parts: Parts): Row[] {
  let version: DataVersion = { counter: 0, stateVersion: 0, timestamp: parts.clock.now() };
  return [
    requestRow("GET_BROKER_CONFIG", undefined, () =>
      ok({ version: encodeDataVersion(version) }, formatProperties(effectiveConfig(parts.config))),
    ),
    requestRow("UPDATE_BROKER_CONFIG", undefined, async (call) => {
      const reply = await update(parts, call);
      if (reply.code === ResponseCode.SUCCESS) version = nextDataVersion(version, parts.clock.now());
      return reply;
    }),
  ];
}

/**
 * What NameServers hear at once when it changes. In Apache only brokerPermission does that, and an address or port changed
 * after it waits for the next period; set-ups that learn their published port late change them in any order.
 */
const REGISTERED = ["brokerPermission", "brokerIP1", "listenPort"];

const BLACK_LIST = "Can not update config in black list.";

/**
 * All entries are taken or none; wrong values and unknown keys are refused. What only acts at the next start is taken,
 * too, and the remark says so; Apache answers success and does nothing with some of those.
 */
async function update(parts: Parts, call: Call): Promise<Reply> {
  const { config, log } = parts;
  const entries = parseProperties(call.body.toString("utf8"));
  const forbidden = forbiddenBrokerKeys(config);
  for (const key of entries.keys()) {
    if (forbidden.has(key)) return refuse("NO_PERMISSION", BLACK_LIST);
    // CVE-2023-33246 and its like: no request chooses where this process writes.
    if (namesFiles(key)) {
      return refuse(
        "NO_PERMISSION",
        `${BLACK_LIST} ${key} names files: it can be changed in the broker's own file only`,
      );
    }
  }
  let updated: Updated;
  try {
    updated = updateBrokerConfig(config, entries);
  } catch (error) {
    if (error instanceof ConfigError) return refuse("SYSTEM_ERROR", error.message);
    throw error;
  }
  const { changed, pending, warnings } = updated;
  log.info({ changed, pending, warnings, caller: call.caller.address }, "options changed");
  let unwritten: string | undefined;
  try {
    await parts.configFile?.write(formatProperties(config.given));
  } catch (error) {
    unwritten = `the change acts until the next start, but could not be written: ${(error as Error).message}`;
  }
  if (REGISTERED.some((key) => entries.has(key))) {
    parts.topics.bumpVersion();
    await parts.registration.registerAnew();
  }
  if (unwritten !== undefined) return refuse("SYSTEM_ERROR", unwritten);
  return warnings.length === 0 ? ok() : { ...ok(), remark: warnings.join("; ") };
}
