/** Topics and groups for tests of the 5.x protocol, whose clients can create neither: by remoting, as mqadmin does. */
import { Buffer } from "node:buffer";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import type { RawClient } from "./rawClient.ts";

/** @param type as in `message.type`. @throws Error when the broker refuses it */
export async function declareTopic(admin: RawClient, topic: string, type: string, queues = 1): Promise<void> {
  const fields = {
    topic,
    defaultTopic: "TBW102",
    readQueueNums: String(queues),
    writeQueueNums: String(queues),
    perm: "6",
    topicFilterType: "SINGLE_TAG",
    topicSysFlag: "0",
    order: "false",
    attributes: `+message.type=${type}`,
  };
  const { code, remark } = await admin.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, { fields });
  if (code !== 0) throw new Error(`topic ${topic}: ${code} ${remark}`);
}

/** @param more options beside the usual ones. @throws Error when the broker refuses it */
export async function declareGroup(admin: RawClient, groupName: string, more: object = {}): Promise<void> {
  const config = { groupName, consumeEnable: true, retryQueueNums: 1, retryMaxTimes: 16, ...more };
  const body = Buffer.from(JSON.stringify(config));
  const { code, remark } = await admin.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body });
  if (code !== 0) throw new Error(`group ${groupName}: ${code} ${remark}`);
}
