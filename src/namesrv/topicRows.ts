/** Requests about topics: routes, lists, registration of one topic, deletion. */

import { encodeTopicList } from "../protocol/bodies/topicList.ts";
import { decodeTopicRouteData, encodeTopicRouteData, type TopicRouteData } from "../protocol/bodies/topicRoute.ts";
import { type Call, type Reply, type Row, row } from "../protocol/dispatch.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import {
  DeleteTopicFromNamesrvRequestHeader,
  GetRouteInfoRequestHeader,
  GetTopicsByClusterRequestHeader,
  RegisterTopicRequestHeader,
} from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { ZONE_NAME } from "./brokerRows.ts";
import { missingFields, type NamesrvContext, SUCCESS, systemError, withBody } from "./context.ts";
import { ORDER_TOPIC_CONFIG } from "./kvConfig.ts";
import {
  allTopics,
  routeInZone,
  routeOf,
  systemTopics,
  topicsOfCluster,
  unitSubTopics,
  unitSubUnunitTopics,
  unitTopics,
} from "./routeAnswers.ts";

/** MixAll.ZONE_MODE: extension field of clients that want brokers of their own zone only. */
const ZONE_MODE = "__ZONE_MODE";

export function topicRows(context: NamesrvContext): Row[] {
  const { config, log, table } = context;
  const startedMs = context.clock.monotonicMs();
  const isReady = (): boolean =>
    !config.needWaitForService || context.clock.monotonicMs() - startedMs >= config.waitSecondsForService * 1000;
  const listed = (list: () => Parameters<typeof encodeTopicList>[0], isEnabled: boolean): Reply =>
    isEnabled ? withBody(encodeTopicList(list())) : systemError("disable");

  return [
    row(RequestCode.GET_ROUTEINFO_BY_TOPIC, "GET_ROUTEINFO_BY_TOPIC", GetRouteInfoRequestHeader, (call) =>
      isReady() ? routeInfo(context, call) : systemError("name server not ready"),
    ),

    row(RequestCode.REGISTER_TOPIC_IN_NAMESRV, "REGISTER_TOPIC_IN_NAMESRV", RegisterTopicRequestHeader, (call) => {
      const refusal = missingFields(call.header, "topic");
      if (refusal !== undefined) return refusal;
      const queues = call.body.length === 0 ? [] : decodeTopicRouteData(call.body).queueDatas;
      if (queues.length > 0 && !table.registerTopic(call.header.topic, queues)) {
        log.warn({ topic: call.header.topic, queues }, "topic names a broker that is not registered: ignored");
      }
      return SUCCESS;
    }),

    row(
      RequestCode.DELETE_TOPIC_IN_NAMESRV,
      "DELETE_TOPIC_IN_NAMESRV",
      DeleteTopicFromNamesrvRequestHeader,
      ({ header, caller }) => {
        // An empty cluster name means every cluster, as an absent one does.
        table.deleteTopic(header.topic, header.clusterName || undefined);
        log.info({ topic: header.topic, cluster: header.clusterName, by: caller.address }, "topic deleted");
        return SUCCESS;
      },
    ),

    row(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, "GET_ALL_TOPIC_LIST_FROM_NAMESERVER", undefined, () =>
      listed(() => allTopics(table), config.enableAllTopicList),
    ),
    row(RequestCode.GET_TOPICS_BY_CLUSTER, "GET_TOPICS_BY_CLUSTER", GetTopicsByClusterRequestHeader, ({ header }) =>
      listed(() => topicsOfCluster(table, header.cluster), config.enableTopicList),
    ),
    row(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS, "GET_SYSTEM_TOPIC_LIST_FROM_NS", undefined, ({ caller }) =>
      listed(() => systemTopics(table, context.rewriteFor(caller)), true),
    ),
    row(RequestCode.GET_UNIT_TOPIC_LIST, "GET_UNIT_TOPIC_LIST", undefined, () =>
      listed(() => unitTopics(table), config.enableTopicList),
    ),
    row(RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST, "GET_HAS_UNIT_SUB_TOPIC_LIST", undefined, () =>
      listed(() => unitSubTopics(table), config.enableTopicList),
    ),
    row(RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, "GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST", undefined, () =>
      listed(() => unitSubUnunitTopics(table), config.enableTopicList),
    ),
  ];
}

function routeInfo({ config, kv, table, rewriteFor }: NamesrvContext, call: Call<GetRouteInfoRequestHeader>): Reply {
  const { topic, acceptStandardJsonOnly } = call.header;
  const route = routeOf(table, topic, config.supportActingMaster, rewriteFor(call.caller));
  if (route === undefined) {
    const remark = `No topic route info in name server for the topic: ${topic ?? null}${FAQ_HINT}`;
    return { code: ResponseCode.TOPIC_NOT_EXIST, remark };
  }
  if (config.orderMessageEnable) route.orderTopicConf = kv.get(ORDER_TOPIC_CONFIG, topic);
  const near = inCallersZone(route, call);
  // Apache's zone filter re-encodes in its default dialect, whatever the client can read.
  const standardJson = near === route && (call.version >= MQVersion.V4_9_4 || acceptStandardJsonOnly === true);
  return withBody(encodeTopicRouteData(near, standardJson));
}

function inCallersZone(route: TopicRouteData, call: Call<GetRouteInfoRequestHeader>): TopicRouteData {
  const zone = call.field(ZONE_NAME)?.trim();
  return zone && call.field(ZONE_MODE)?.toLowerCase() === "true" ? routeInZone(route, zone) : route;
}
