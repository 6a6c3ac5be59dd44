/** How requests with a property filter are refused; the words are Apache's, the reason behind them is ours. */
import { SQL92_TYPE } from "../filter/messageFilter.ts";
import type { Reply } from "../protocol/dispatch.ts";
import { refuse } from "./parts.ts";

/** enablePropertyFilter is off (PullMessageProcessor, ClientManageProcessor, PopMessageProcessor). */
export function unsupportedFilter(type: string | undefined): Reply {
  const hint = type === SQL92_TYPE ? ": set enablePropertyFilter=true in the broker's configuration to allow it" : "";
  return refuse("SYSTEM_ERROR", `The broker does not support consumer to filter message by ${type}${hint}`);
}
