/** What the NameServer's request handlers share. */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { NamesrvConfig } from "../config/index.ts";
import type { Caller, Reply } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { KvConfig, TextFile } from "./kvConfig.ts";
import type { Liveness } from "./liveness.ts";
import type { Rewrite } from "./routeAnswers.ts";
import type { RouteTable } from "./routeTable.ts";

export interface NamesrvContext {
  clock: Clock;
  log: Logger;
  config: NamesrvConfig;
  /** Where a configuration change is kept, if anywhere. */
  configFile: TextFile | undefined;
  kv: KvConfig;
  table: RouteTable;
  liveness: Liveness;
  /** The address of a broker as the asking client shall see it. */
  rewriteFor(caller: Caller): Rewrite;
}

export const SUCCESS: Reply = { code: ResponseCode.SUCCESS };

export function withBody(body: string): Reply {
  return { code: ResponseCode.SUCCESS, body };
}

export function systemError(remark: string): Reply {
  return { code: ResponseCode.SYSTEM_ERROR, remark };
}

/**
 * A refusal that names the fields a request lacks; undefined when all are there. Apache's header check only logs, and what
 * follows is a NullPointerException or a row without a name.
 */
export function missingFields<H>(header: H, ...names: (keyof H & string)[]): Reply | undefined {
  const missing = names.filter((name) => header[name] === undefined);
  return missing.length === 0 ? undefined : systemError(`the header lacks ${missing.join(", ")}`);
}
