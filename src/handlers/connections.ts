/** Who is connected for a group (Apache: AdminBrokerProcessor). */
import type { Client } from "../broker/clients.ts";
import { type Connection, encodeConsumerConnection, encodeProducerConnection } from "../protocol/bodies/connections.ts";
import type { Row } from "../protocol/dispatch.ts";
import {
  GetAllProducerInfoRequestHeader,
  GetConsumerConnectionListRequestHeader,
  GetProducerConnectionListRequestHeader,
} from "../protocol/generated/headers.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { type BrokerParts, ok, refuse, requestRow } from "./parts.ts";

export function connectionRows({ clients }: Pick<BrokerParts, "clients">): Row[] {
  return [
    requestRow("GET_CONSUMER_CONNECTION_LIST", GetConsumerConnectionListRequestHeader, ({ header }) => {
      const group = clients.consumerGroup(header.consumerGroup);
      if (group === undefined) {
        return refuse("CONSUMER_NOT_ONLINE", `the consumer group[${header.consumerGroup}] not online`);
      }
      return ok(
        undefined,
        encodeConsumerConnection({
          connectionSet: [...group.members.values()].map(connectionOf),
          consumeFromWhere: group.consumeFromWhere,
          consumeType: group.consumeType,
          messageModel: group.messageModel,
          subscriptionTable: group.subscriptions,
        }),
      );
    }),
    requestRow("GET_PRODUCER_CONNECTION_LIST", GetProducerConnectionListRequestHeader, ({ header }) => {
      const producers = clients.producers(header.producerGroup);
      if (producers === undefined) {
        return refuse("SYSTEM_ERROR", `the producer group[${header.producerGroup}] not exist`);
      }
      return ok(undefined, encodeProducerConnection(producers.map(connectionOf)));
    }),
    requestRow("GET_ALL_PRODUCER_INFO", GetAllProducerInfoRequestHeader, () => {
      const data = new Map(
        clients.producerGroups().map((group) => [
          group,
          (clients.producers(group) ?? []).map((producer) => ({
            clientId: producer.clientId,
            language: producer.language,
            lastUpdateTimestamp: producer.lastUpdate,
            // Java's InetSocketAddress prints a slash where a host name would stand.
            remoteIP: `/${producer.caller.address}`,
            version: producer.version,
          })),
        ]),
      );
      return ok(undefined, writeJavaJson({ data }));
    }),
  ];
}

function connectionOf(client: Client): Connection {
  return {
    clientAddr: client.caller.address,
    clientId: client.clientId,
    language: client.language,
    version: client.version,
  };
}
