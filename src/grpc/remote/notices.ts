/** What brokers tell clients of a proxy: that another client took a lite topic over (Apache: ProxyClientRemotingProcessor). */
import type { Clients } from "../../broker/clients.ts";
import { type Row, row } from "../../protocol/dispatch.ts";
import { NotifyUnsubscribeLiteRequestHeader } from "../../protocol/generated/headers.ts";
import { RequestCode } from "../../protocol/generated/requestCodes.ts";

export function noticeRows(registrations: Clients): Row[] {
  return [
    row(
      RequestCode.NOTIFY_UNSUBSCRIBE_LITE,
      "NOTIFY_UNSUBSCRIBE_LITE",
      NotifyUnsubscribeLiteRequestHeader,
      ({ header: { clientId, consumerGroup, liteTopic } }) => {
        const members = registrations.consumerGroup(consumerGroup ?? "")?.members;
        for (const member of members?.values() ?? []) {
          if (member.clientId !== clientId) continue;
          member.caller.tell(RequestCode.NOTIFY_UNSUBSCRIBE_LITE, { clientId, consumerGroup, liteTopic });
        }
        return undefined;
      },
    ),
  ];
}
