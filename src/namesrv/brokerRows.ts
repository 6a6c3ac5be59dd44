/** Requests of brokers: register, unregister, signs of life; and what operators ask about brokers. */
import { bodyCrc32 } from "../base/crc32.ts";
import { encodeBrokerMemberGroup } from "../protocol/bodies/brokerMemberGroup.ts";
import { encodeClusterInfo } from "../protocol/bodies/clusterInfo.ts";
import { decodeDataVersion, encodeDataVersion, sameDataVersion } from "../protocol/bodies/dataVersion.ts";
import { encodeKVTable } from "../protocol/bodies/kvTable.ts";
import { decodeRegisterBrokerBody, type RegisterBrokerBody } from "../protocol/bodies/registerBrokerBody.ts";
import { decodeTopicConfigWrapper, newTopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import { type Call, type Reply, type Row, row } from "../protocol/dispatch.ts";
import {
  AddWritePermOfBrokerRequestHeader,
  BrokerHeartbeatRequestHeader,
  GetBrokerMemberGroupRequestHeader,
  QueryDataVersionRequestHeader,
  RegisterBrokerRequestHeader,
  UnRegisterBrokerRequestHeader,
  WipeWritePermOfBrokerRequestHeader,
} from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { missingFields, type NamesrvContext, SUCCESS, systemError, withBody } from "./context.ts";
import { ORDER_TOPIC_CONFIG } from "./kvConfig.ts";
import { clusterInfoOf, memberGroupOf } from "./routeAnswers.ts";
import type { BrokerAddress } from "./routeTable.ts";

/** MixAll.ZONE_NAME: extension field with the zone of a broker or client. */
export const ZONE_NAME = "__ZONE_NAME";

export function brokerRows(context: NamesrvContext): Row[] {
  const { clock, log, liveness, table } = context;
  return [
    row(RequestCode.REGISTER_BROKER, "REGISTER_BROKER", RegisterBrokerRequestHeader, (call) =>
      registerBroker(context, call),
    ),

    row(RequestCode.UNREGISTER_BROKER, "UNREGISTER_BROKER", UnRegisterBrokerRequestHeader, ({ header }) => {
      const refusal = missingFields(header, "clusterName", "brokerAddr", "brokerName", "brokerId");
      if (refusal !== undefined) return refusal;
      const broker = { ...addressOf(header), name: header.brokerName, id: header.brokerId };
      if (liveness.unregister(broker)) return SUCCESS;
      return systemError("too many brokers are being unregistered (unRegisterBrokerQueueCapacity)");
    }),

    row(RequestCode.BROKER_HEARTBEAT, "BROKER_HEARTBEAT", BrokerHeartbeatRequestHeader, ({ header }) => {
      const refusal = missingFields(header, "clusterName", "brokerAddr");
      if (refusal !== undefined) return refusal;
      table.touch(addressOf(header), clock.monotonicMs());
      return SUCCESS;
    }),

    row(RequestCode.QUERY_DATA_VERSION, "QUERY_DATA_VERSION", QueryDataVersionRequestHeader, ({ header, body }) => {
      const refusal = missingFields(header, "clusterName", "brokerAddr");
      if (refusal !== undefined) return refusal;
      const asked = body.length === 0 ? undefined : decodeDataVersion(body);
      const known = table.dataVersionOf(addressOf(header));
      table.touch(addressOf(header), clock.monotonicMs());
      const changed = known === undefined || asked === undefined || !sameDataVersion(known, asked);
      return { code: ResponseCode.SUCCESS, header: { changed }, body: known && encodeDataVersion(known) };
    }),

    row(
      RequestCode.GET_BROKER_MEMBER_GROUP,
      "GET_BROKER_MEMBER_GROUP",
      GetBrokerMemberGroupRequestHeader,
      ({ header }) => withBody(encodeBrokerMemberGroup(memberGroupOf(table, header.clusterName, header.brokerName))),
    ),

    row(RequestCode.GET_BROKER_CLUSTER_INFO, "GET_BROKER_CLUSTER_INFO", undefined, ({ caller }) =>
      withBody(encodeClusterInfo(clusterInfoOf(table, context.rewriteFor(caller)))),
    ),

    row(
      RequestCode.WIPE_WRITE_PERM_OF_BROKER,
      "WIPE_WRITE_PERM_OF_BROKER",
      WipeWritePermOfBrokerRequestHeader,
      ({ header, caller }) => {
        const wipeTopicCount = table.wipeWritePerm(header.brokerName);
        log.info({ broker: header.brokerName, by: caller.address, wipeTopicCount }, "write permission wiped");
        return { code: ResponseCode.SUCCESS, header: { wipeTopicCount } };
      },
    ),

    row(
      RequestCode.ADD_WRITE_PERM_OF_BROKER,
      "ADD_WRITE_PERM_OF_BROKER",
      AddWritePermOfBrokerRequestHeader,
      ({ header, caller }) => {
        const addTopicCount = table.addWritePerm(header.brokerName);
        log.info({ broker: header.brokerName, by: caller.address, addTopicCount }, "write permission added");
        return { code: ResponseCode.SUCCESS, header: { addTopicCount } };
      },
    ),
  ];
}

function registerBroker(context: NamesrvContext, call: Call<RegisterBrokerRequestHeader>): Reply {
  const { clock, config, kv, liveness, log, table } = context;
  const { header, caller } = call;
  const refusal = missingFields(header, "clusterName", "brokerAddr", "brokerName", "brokerId");
  if (refusal !== undefined) return refusal;
  if (header.bodyCrc32 && bodyCrc32(call.body, 0, call.body.length) !== header.bodyCrc32) {
    return systemError("crc32 not match");
  }
  const { filterServerList, topicConfigSerializeWrapper } = readBody(call);
  liveness.flush();
  const outcome = table.register(
    {
      ...addressOf(header),
      name: header.brokerName,
      id: header.brokerId,
      haServerAddr: header.haServerAddr,
      zoneName: call.field(ZONE_NAME),
      timeoutMs: header.heartbeatTimeoutMillis,
      enableActingMaster: header.enableActingMaster,
      topics: topicConfigSerializeWrapper,
      filterServers: filterServerList,
      connection: caller,
    },
    clock.monotonicMs(),
    config.deleteTopicWithBrokerRegistration,
  );
  if (outcome.kind === "refused") {
    log.warn({ by: caller.address, reason: outcome.reason }, "registration refused");
    return systemError(`register broker failed: ${outcome.reason}`);
  }
  const order = config.returnOrderTopicConfigToBroker ? kv.list(ORDER_TOPIC_CONFIG) : undefined;
  const body = order && encodeKVTable(order);
  if (outcome.kind === "ignored") {
    log.warn({ by: caller.address, reason: outcome.reason }, "registration ignored");
    return { code: ResponseCode.SUCCESS, body };
  }
  const { haServerAddr, isNew, masterAddr, minBrokerChange } = outcome;
  liveness.watch(caller);
  if (isNew) log.info({ ...addressOf(header), name: header.brokerName, id: header.brokerId }, "broker registered");
  if (minBrokerChange !== undefined) liveness.announce(minBrokerChange);
  return { code: ResponseCode.SUCCESS, header: { haServerAddr, masterAddr }, body };
}

function readBody({ header, body, version }: Call<RegisterBrokerRequestHeader>): RegisterBrokerBody {
  if (body.length === 0) return { filterServerList: [], topicConfigSerializeWrapper: newTopicConfigWrapper() };
  if (version < MQVersion.V3_0_11) {
    return { filterServerList: [], topicConfigSerializeWrapper: decodeTopicConfigWrapper(body) };
  }
  return decodeRegisterBrokerBody(body, header.compressed ?? false, version);
}

function addressOf(header: { clusterName?: string | undefined; brokerAddr?: string | undefined }): BrokerAddress {
  return { cluster: header.clusterName ?? "", addr: header.brokerAddr ?? "" };
}
