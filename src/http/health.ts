/**
 * Whether this broker lives, and whether it should get traffic: for load balancers, containers and people. It lives when it
 * answers; it is ready when it takes messages (a slave: when it follows its master).
 */
import type { HaView } from "../handlers/ha.ts";
import type { BrokerParts } from "../handlers/parts.ts";
import { type HttpReply, type HttpRequest, json, text } from "./httpServer.ts";

export type HealthParts = Pick<BrokerParts, "config" | "clock" | "counters" | "store"> & { readonly ha?: HaView };

const OK = 200;
const UNAVAILABLE = 503;

/** The reply to a health request; undefined for any other path. `/-/healthy` is what Apache's exporter has. */
export function healthReply(parts: HealthParts, { path }: Pick<HttpRequest, "path">): HttpReply | undefined {
  switch (path) {
    case "/-/healthy":
      return text(OK, "Exporter is healthy.\n");
    case "/health":
      return json({ status: "up", uptimeMs: parts.clock.now() - parts.counters.startedAt });
    case "/ready": {
      const reason = notReady(parts);
      return reason === undefined ? json({ status: "ready" }) : json({ status: "not ready", reason }, UNAVAILABLE);
    }
    default:
      return undefined;
  }
}

function notReady({ config, store, ha }: HealthParts): string | undefined {
  if (config.brokerRole === "SLAVE") {
    const master = ha?.master();
    return master?.connected ? undefined : "this slave is not connected to its master";
  }
  const { writable, reason } = store.writability();
  return writable ? undefined : reason;
}
