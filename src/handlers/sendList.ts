/**
 * Several messages of one topic that were not brought by a frame: they go to one queue, lie together in the log, and are
 * taken all or none (Apache: SendMessageProcessor.sendBatchMessage with a MessageBatch of the proxy).
 */
import { Buffer } from "node:buffer";
import { javaHashUtf8 } from "../base/javaHash.ts";
import { isStored } from "../broker/transactionOps.ts";
import type { MessageDraft } from "../message/draft.ts";
import { messageIdsOf } from "../message/messageId.ts";
import { formatProperties } from "../message/properties.ts";
import type { PropertyScan } from "../message/propertyScan.ts";
import type { Reply } from "../protocol/dispatch.ts";
import type { NewMessage } from "../store/types.ts";
import { appendReply } from "./appendReply.ts";
import type { SendParts } from "./send.ts";

const NOTHING: Buffer = Buffer.alloc(0);

/** What the messages of a list have in common. */
export type ListHead = Required<Pick<NewMessage, "topic" | "queueId" | "sysFlag" | "bornTimestamp" | "bornHost">>;

/** @returns the reply of a batch: `msgId` has one id per message, `queueOffset` is that of the first */
export function sendList(
  parts: Pick<SendParts, "config" | "store" | "metrics">,
  head: ListHead,
  messages: readonly Pick<NewMessage, "body" | "properties">[],
): Promise<Reply> {
  const { store } = parts;
  const encoded = messages.map(({ properties }) => Buffer.from(formatProperties(properties)));
  const next = (i: number, draft: MessageDraft, scan: PropertyScan) => {
    const { body } = messages[i];
    const properties = encoded[i];
    draft.queueId = head.queueId;
    draft.flag = 0;
    draft.sysFlag = head.sysFlag;
    draft.bornTimestamp = head.bornTimestamp;
    draft.setHosts(head.bornHost, store.storeHost);
    draft.reconsumeTimes = 0;
    draft.preparedTransactionOffset = 0;
    draft.body = body;
    draft.bodyStart = 0;
    draft.bodyEnd = body.length;
    draft.properties = properties;
    draft.propertiesStart = 0;
    draft.propertiesEnd = properties.length;
    draft.suffix = NOTHING;
    scan.scan(properties, 0, properties.length);
    draft.tagsCode = scan.tagsStart < 0 ? 0 : javaHashUtf8(0, properties, scan.tagsStart, scan.tagsEnd);
  };
  return new Promise((resolve) => {
    store.appendBatch(
      messages.length,
      next,
      store.queue(head.topic, head.queueId),
      {
        appended: (pending) => {
          const offsets = pending.batchOffsets ?? [pending.logOffset];
          if (isStored(pending)) {
            const bytes = pending.logOffset + pending.bytes - offsets[0];
            parts.metrics?.stored(head.topic, "normal", offsets.length, bytes);
          }
          resolve(
            appendReply(parts, pending, {
              msgId: messageIdsOf(store.storeHost, offsets),
              queueId: head.queueId,
              queueOffset: pending.queueOffset - (offsets.length - 1),
            }),
          );
        },
      },
      0,
      0,
    );
  });
}
