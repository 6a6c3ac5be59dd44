/** One topic: whether anybody has it, and whether it can be written and read. */
import { PERM_READ, PERM_WRITE } from "../../protocol/bodies/topicConfig.ts";
import type { Admin } from "../admin.ts";
import { error, type Finding, fine, warning } from "./finding.ts";

export type TopicQuestions = Pick<Admin, "routeIfAny" | "clusterInfo" | "brokerConfig">;

export async function topicFindings(servers: TopicQuestions, topic: string): Promise<Finding[]> {
  const route = await servers.routeIfAny(topic);
  if (route === undefined || route.queueDatas.length === 0) return [await missing(servers, topic)];
  const findings: Finding[] = [];
  for (const { brokerName, perm, readQueueNums, writeQueueNums } of route.queueDatas) {
    const place = `topic ${topic} on ${brokerName}`;
    const change = `mqadmin updateTopicPerm -t ${topic} -p 6 (or updateTopic -p 6)`;
    if ((perm & PERM_WRITE) === 0) findings.push(error(`${place}: nobody can send (perm ${perm})`, change));
    if ((perm & PERM_READ) === 0) findings.push(error(`${place}: nobody can consume (perm ${perm})`, change));
    if (readQueueNums < writeQueueNums) {
      findings.push(
        error(
          `${place}: ${writeQueueNums} queues are written and only ${readQueueNums} are read: messages of the others reach nobody`,
          `mqadmin updateTopic -t ${topic} -r ${writeQueueNums} -w ${writeQueueNums}`,
        ),
      );
    } else if (readQueueNums > writeQueueNums) {
      findings.push(
        warning(
          `${place}: ${readQueueNums} queues are read and only ${writeQueueNums} are written`,
          "right while it is made smaller and old messages are consumed; else make both equal with updateTopic -r -w",
        ),
      );
    }
  }
  const served = new Set(route.brokerDatas.map(({ brokerName }) => brokerName));
  for (const { brokerName } of route.queueDatas) {
    if (!served.has(brokerName)) {
      findings.push(
        error(`topic ${topic} lies on ${brokerName}, which is not registered`, `start broker ${brokerName} again`),
      );
    }
  }
  if (findings.length > 0) return findings;
  const queues = route.queueDatas.reduce((sum, { writeQueueNums }) => sum + writeQueueNums, 0);
  return [fine(`topic ${topic}: ${queues} queues on ${[...served].join(", ")}, readable and writable`)];
}

async function missing(servers: TopicQuestions, topic: string): Promise<Finding> {
  const [broker] = (await servers.clusterInfo()).brokerAddrTable.values();
  const address = broker?.brokerAddrs.get(0);
  const config = address === undefined ? undefined : await servers.brokerConfig(address).catch(() => undefined);
  const make = `mqadmin updateTopic -c CLUSTER -t ${topic}`;
  if (config?.get("autoCreateTopicEnable") === "true") {
    return warning(
      `no broker has the topic ${topic}; the first message for it would make it`,
      `consumers that start before find nothing for up to 30 s: ${make} makes it beforehand`,
    );
  }
  return error(
    `no broker has the topic ${topic}, and none is made by sending`,
    `${make}; names are case-sensitive, and 5.x clients need a message type that fits (-a +message.type=FIFO)`,
  );
}
