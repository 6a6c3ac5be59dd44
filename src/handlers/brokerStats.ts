/** Statistics by Apache's names and keys, for `mqadmin statsAll`, the Dashboard and exporters. */
import type { StatsSnapshot } from "../metrics/statsItem.ts";
import type { Row } from "../protocol/dispatch.ts";
import { ViewBrokerStatsDataRequestHeader } from "../protocol/generated/headers.ts";
import { javaDouble, writeJavaJson } from "../protocol/javaJson.ts";
import { type BrokerParts, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "stats">;

export function brokerStatsRows({ stats }: Parts): Row[] {
  return [
    requestRow("VIEW_BROKER_STATS_DATA", ViewBrokerStatsDataRequestHeader, ({ header }) => {
      const { statsName, statsKey } = header;
      const item = stats.find(statsName ?? "", statsKey ?? "");
      // Callers take this for "nothing yet": a figure exists from its first message on.
      if (item === undefined) {
        return refuse("SYSTEM_ERROR", `The stats <${statsName ?? null}> <${statsKey ?? null}> not exist`);
      }
      return ok(
        undefined,
        writeJavaJson({
          statsDay: beanOf(item.day.snapshot()),
          statsHour: beanOf(item.hour.snapshot()),
          statsMinute: beanOf(item.minute.snapshot()),
        }),
      );
    }),
  ];
}

function beanOf({ sum, tps, avgpt }: StatsSnapshot): object {
  return { avgpt: javaDouble(avgpt), sum, tps: javaDouble(tps) };
}
