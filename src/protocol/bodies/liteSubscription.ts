/** LiteSubscriptionCtlRequestBody: what clients subscribe to of lite topics, as proxies tell brokers. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { readEnum } from "./enums.ts";
import { asBean, readBean, toText } from "./reader.ts";

export const LITE_ACTIONS = ["PARTIAL_ADD", "PARTIAL_REMOVE", "COMPLETE_ADD", "COMPLETE_REMOVE"] as const;
export type LiteAction = (typeof LITE_ACTIONS)[number];
const OFFSET_TYPES = ["POLICY", "OFFSET", "TAIL_N", "TIMESTAMP"] as const;

/** Where a subscription begins; POLICY: 0 where the group was, 1 first, 2 end. */
export interface OffsetOption {
  type: (typeof OFFSET_TYPES)[number];
  value: number;
}

/** LiteSubscriptionDTO. */
export interface LiteSubscription {
  action: LiteAction | undefined;
  clientId: string;
  group: string;
  liteTopicSet: string[];
  offsetOption: OffsetOption | undefined;
  topic: string;
  version: number;
}

export function encodeLiteSubscriptions(subscriptionSet: readonly LiteSubscription[]): string {
  return writeJavaJson({ subscriptionSet });
}

export function decodeLiteSubscriptions(body: Buffer | string): LiteSubscription[] {
  const bean = readBean("LiteSubscriptionCtlRequestBody", body);
  return (
    bean.list(
      "subscriptionSet",
      asBean((one) => ({
        action: readEnum(one, "action", LITE_ACTIONS),
        clientId: one.text("clientId") ?? "",
        group: one.text("group") ?? "",
        liteTopicSet: one.list("liteTopicSet", toText) ?? [],
        offsetOption: one.bean("offsetOption", (option) => ({
          type: readEnum(option, "type", OFFSET_TYPES) ?? "POLICY",
          value: option.integer("value", 0),
        })),
        topic: one.text("topic") ?? "",
        version: one.integer("version", 0),
      })),
    ) ?? []
  );
}
