/**
 * The NameServer: its state, its timers and its dispatch rows, without a socket. Whoever wires it serves the rows on a
 * listener and calls start and stop. Mirrors NamesrvController; answers every code of Apache's DefaultRequestProcessor
 * and ClientRequestProcessor. clusterTest, which asks another environment's NameServer, has no counterpart here.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { NamesrvConfig } from "../config/index.ts";
import type { Caller, Row } from "../protocol/dispatch.ts";
import { brokerRows } from "./brokerRows.ts";
import { configRows } from "./configRows.ts";
import type { NamesrvContext } from "./context.ts";
import { KvConfig, type TextFile } from "./kvConfig.ts";
import { kvRows } from "./kvRows.ts";
import { Liveness, type SendOneway } from "./liveness.ts";
import { RouteTable } from "./routeTable.ts";
import { topicRows } from "./topicRows.ts";

export interface NamesrvParts {
  clock: Clock;
  log: Logger;
  config: NamesrvConfig;
  /** kvConfig.json. */
  kvFile: TextFile;
  /** Where `mqadmin updateNamesrvConfig` is kept (Apache: configStorePath); without it changes last until the stop. */
  configFile?: TextFile;
  /** How to reach a broker's own address; only needed with notifyMinBrokerIdChanged. */
  sendOneway?: SendOneway;
  /** The address of a broker as `caller` shall see it; by default the one that the broker registered. */
  rewriteBrokerAddr?: (addr: string, caller: Caller) => string;
}

export interface Namesrv {
  readonly rows: Row[];
  /** For embedding and tests; requests go through the rows. */
  readonly table: RouteTable;
  /** Reads kvConfig.json and starts to look for silent brokers. */
  start(): void;
  stop(): void;
}

export function createNamesrv(parts: NamesrvParts): Namesrv {
  const { clock, log, config, rewriteBrokerAddr } = parts;
  const table = new RouteTable();
  const liveness = new Liveness(table, clock, log, config, parts.sendOneway);
  const context: NamesrvContext = {
    clock,
    log,
    config,
    configFile: parts.configFile,
    kv: new KvConfig(parts.kvFile),
    table,
    liveness,
    rewriteFor: rewriteBrokerAddr ? (caller) => (addr) => rewriteBrokerAddr(addr, caller) : () => (addr) => addr,
  };
  return {
    rows: [...kvRows(context), ...brokerRows(context), ...topicRows(context), ...configRows(context)],
    table,
    start() {
      context.kv.load((file, reason) => log.error({ file, reason }, "kvConfig cannot be read"));
      liveness.start();
    },
    stop() {
      liveness.stop();
    },
  };
}
