/** Subscription groups: created, changed, deleted, listed (Apache: AdminBrokerProcessor). */
import { groupNameProblem } from "../broker/names.ts";
import { decodeDataVersion, sameDataVersion } from "../protocol/bodies/dataVersion.ts";
import { asBean, readBean } from "../protocol/bodies/reader.ts";
import {
  decodeSubscriptionGroupConfig,
  encodeSubscriptionGroupConfig,
  encodeSubscriptionGroupWrapper,
  readSubscriptionGroupConfig,
  type SubscriptionGroupConfig,
} from "../protocol/bodies/subscriptionGroup.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import {
  DeleteSubscriptionGroupRequestHeader,
  GetAllSubscriptionGroupRequestHeader,
  GetSubscriptionGroupConfigRequestHeader,
  UpdateGroupForbiddenRequestHeader,
} from "../protocol/generated/headers.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "clock" | "groups" | "offsets" | "stats" | "metrics" | "log">;

/** Bit of a group's prohibitions that stands for reading (PermName.INDEX_PERM_READ). */
const FORBID_READ = 2;

export function groupAdminRows(parts: Parts): Row[] {
  const { groups } = parts;
  return [
    requestRow("UPDATE_AND_CREATE_SUBSCRIPTIONGROUP", undefined, (call) =>
      apply(parts, call.body.length === 0 ? [] : [decodeSubscriptionGroupConfig(call.body)]),
    ),
    requestRow("UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST", undefined, (call) =>
      apply(
        parts,
        readBean("SubscriptionGroupList", call.body).list("groupConfigList", asBean(readSubscriptionGroupConfig)) ?? [],
      ),
    ),
    requestRow("GET_ALL_SUBSCRIPTIONGROUP_CONFIG", GetAllSubscriptionGroupRequestHeader, (call) => getAll(parts, call)),
    requestRow("DELETE_SUBSCRIPTIONGROUP", DeleteSubscriptionGroupRequestHeader, async ({ header }) => {
      const group = need(header.groupName, "groupName");
      if (groups.delete(group)) parts.log.info({ group }, "subscription group deleted");
      if (parts.config.autoDeleteUnusedStats) parts.stats.groupDeleted(group);
      if (header.cleanOffset) parts.offsets.deleteGroup(group);
      await groups.saved();
      await parts.offsets.persist();
      return ok();
    }),
    requestRow("GET_SUBSCRIPTIONGROUP_CONFIG", GetSubscriptionGroupConfigRequestHeader, ({ header }) => {
      const config = groups.find(need(header.group, "group"));
      if (config === undefined) return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", "No group in this broker");
      return ok(undefined, encodeSubscriptionGroupConfig(config));
    }),
    requestRow("UPDATE_AND_GET_GROUP_FORBIDDEN", UpdateGroupForbiddenRequestHeader, async ({ header }) => {
      const group = need(header.group, "group");
      const topic = need(header.topic, "topic");
      if (header.readable !== undefined) groups.setForbidden(group, topic, FORBID_READ, !header.readable);
      await groups.saved();
      const readable = !groups.isForbidden(group, topic, FORBID_READ);
      return { ...ok(undefined, writeJavaJson({ group, readable, topic })), remark: "" };
    }),
  ];
}

async function apply({ groups, clock, metrics }: Parts, configs: SubscriptionGroupConfig[]): Promise<Reply> {
  for (const config of configs) {
    const problem = groupNameProblem(config.groupName);
    if (problem !== undefined) return refuse("INVALID_PARAMETER", problem);
  }
  const began = clock.monotonicMs();
  try {
    groups.update(configs);
  } catch (error) {
    metrics?.groupCreated(false, clock.monotonicMs() - began);
    return refuse("SYSTEM_ERROR", (error as Error).message);
  }
  await groups.saved();
  metrics?.groupCreated(true, clock.monotonicMs() - began);
  return ok();
}

/** All groups, or one page of them; tools that know no pages send no fields and get everything. */
function getAll({ config, groups }: Parts, { header }: Call<GetAllSubscriptionGroupRequestHeader>): Reply {
  const { groupSeq, maxGroupNum, dataVersion } = header;
  const whole =
    !config.enableSplitMetadata || (groupSeq === undefined && maxGroupNum === undefined && dataVersion === undefined);
  const page = whole
    ? [...groups.all()]
    : groups.page(
        groupSeq ?? 0,
        Math.min(config.splitMetadataSize, maxGroupNum ?? Number.MAX_SAFE_INTEGER),
        dataVersion !== undefined &&
          dataVersion !== "" &&
          sameDataVersion(decodeDataVersion(dataVersion), groups.dataVersion),
      );
  const subscriptionGroupTable = new Map(page.map((group) => [group.groupName, group]));
  const forbiddenTable = groups.forbiddenTable(whole ? undefined : new Set(subscriptionGroupTable.keys()));
  const body = encodeSubscriptionGroupWrapper({
    dataVersion: groups.dataVersion,
    forbiddenTable,
    subscriptionGroupTable,
  });
  return ok({ totalGroupNum: groups.size }, body);
}
