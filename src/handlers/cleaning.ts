/** Space given back at an operator's command (Apache: AdminBrokerProcessor). */
import { isLmq } from "../message/lmq.ts";
import type { Row } from "../protocol/dispatch.ts";
import { type BrokerParts, ok, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "log" | "store" | "storeOps" | "topics">;

export function cleaningRows(parts: Parts): Row[] {
  return [
    // Queue files go together with the log files they point into, so that nothing is left for this command to do.
    requestRow("CLEAN_EXPIRED_CONSUMEQUEUE", undefined, () => ok()),
    requestRow("DELETE_EXPIRED_COMMITLOG", undefined, () => {
      const files = parts.storeOps.deleteExpired();
      parts.log.info({ files }, "expired files deleted at an operator's command");
      return ok();
    }),
    requestRow("CLEAN_UNUSED_TOPIC", undefined, async () => {
      const deletions: Promise<void>[] = [];
      for (const topic of parts.store.topics()) {
        if (parts.topics.has(topic) || parts.topics.isSystem(topic) || isLmq(topic)) continue;
        deletions.push(parts.store.deleteTopic(topic));
        parts.log.info({ topic }, "queues of a topic that no longer exists deleted");
      }
      await Promise.all(deletions);
      return ok();
    }),
  ];
}
