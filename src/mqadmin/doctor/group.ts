/**
 * One consumer group: whether it may consume, who is online, whether its members subscribe to the same, as they must, and whether two
 * of them share a client id.
 */
import { asBean, readBean } from "../../protocol/bodies/reader.ts";
import { decodeSubscriptionGroupWrapper } from "../../protocol/bodies/subscriptionGroup.ts";
import { ResponseCode } from "../../protocol/generated/responseCodes.ts";
import type { Admin } from "../admin.ts";
import { error, type Finding, fine, warning } from "./finding.ts";

export type GroupQuestions = Pick<Admin, "clusterInfo" | "ask" | "consumerConnection">;

/** Members that are asked for their subscriptions. */
const ASKED_MAX = 100;
const RETRY = "%RETRY%";

interface Member {
  readonly clientId: string;
  readonly clientAddr: string;
}

/** @param topic that the group should consume, if one was named */
export async function groupFindings(
  servers: GroupQuestions,
  group: string,
  topic: string | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const members: (Member & { readonly broker: string })[] = [];
  const subscribed = new Set<string>();
  let isKnown = false;
  for (const [brokerName, { brokerAddrs }] of (await servers.clusterInfo()).brokerAddrTable) {
    const address = brokerAddrs.get(0);
    if (address === undefined) continue;
    // Asking for the one group would make it where groups are made by asking.
    const answer = await servers.ask(address, "GET_ALL_SUBSCRIPTIONGROUP_CONFIG", {});
    const config =
      answer.code === ResponseCode.SUCCESS
        ? decodeSubscriptionGroupWrapper(answer.body).subscriptionGroupTable.get(group)
        : undefined;
    if (config !== undefined) {
      isKnown = true;
      if (!config.consumeEnable) {
        findings.push(
          error(
            `group ${group} may not consume on ${brokerName} (consumeEnable is false)`,
            `mqadmin updateSubGroup -b ${address} -g ${group} -s true`,
          ),
        );
      }
    }
    const connection = await servers.consumerConnection(address, group).catch((failure) => {
      if ((failure as { code?: number }).code === undefined) throw failure;
      return undefined;
    });
    if (connection === undefined) continue;
    isKnown = true;
    for (const name of connection.subscriptionTable.keys()) subscribed.add(name);
    for (const member of connection.connectionSet) members.push({ ...member, broker: address });
  }
  if (!isKnown) {
    return [
      error(
        `no broker knows the group ${group}`,
        `its first consumer makes it where autoCreateSubscriptionGroup is on; else mqadmin updateSubGroup -c CLUSTER -g ${group}`,
      ),
    ];
  }
  if (members.length === 0) {
    findings.push(
      warning(
        `group ${group}: nobody is online`,
        "is its consumer started, with this group's name and these NameServers?",
      ),
    );
    return findings;
  }
  findings.push(...duplicateIds(group, members));
  findings.push(...(await subscriptionFindings(servers, group, members)));
  if (topic !== undefined && !subscribed.has(topic)) {
    findings.push(
      error(
        `group ${group} does not subscribe to ${topic} but to ${names(subscribed)}`,
        "subscribe to it in all members, or name the right topic",
      ),
    );
  }
  if (findings.length === 0) {
    const ids = new Set(members.map(({ clientId }) => clientId));
    findings.push(fine(`group ${group}: ${ids.size} online, all subscribe to ${names(subscribed)}`));
  }
  return findings;
}

/** One client has one connection to a broker; two of one id get the same queues, and some queues nobody. */
function duplicateIds(group: string, members: readonly (Member & { broker: string })[]): Finding[] {
  const places = new Map<string, Set<string>>();
  for (const { clientId, clientAddr, broker } of members) {
    const key = `${broker} ${clientId}`;
    places.set(key, (places.get(key) ?? new Set()).add(clientAddr));
  }
  const shared = new Map<string, string>();
  for (const [key, addresses] of places) {
    if (addresses.size > 1) shared.set(key.slice(key.indexOf(" ") + 1), [...addresses].join(" and "));
  }
  return [...shared].map(([clientId, addresses]) =>
    error(
      `group ${group}: the client id ${clientId} is used by ${addresses}: both take the same queues, others have nobody`,
      "give each process an instanceName of its own (containers often share IP and process id)",
    ),
  );
}

/** Asks members what they subscribe to: the broker only knows what the last heartbeat said. */
async function subscriptionFindings(
  servers: GroupQuestions,
  group: string,
  members: readonly (Member & { broker: string })[],
): Promise<Finding[]> {
  const said = new Map<string, string[]>();
  let silent = 0;
  const asked = new Map(members.map((member) => [member.clientId, member]));
  for (const { clientId, broker } of [...asked.values()].slice(0, ASKED_MAX)) {
    const subscriptions = await subscriptionsOf(servers, broker, group, clientId);
    if (subscriptions === undefined) silent++;
    else said.set(subscriptions, [...(said.get(subscriptions) ?? []), clientId]);
  }
  if (said.size > 1) {
    const each = [...said].map(([subscriptions, clients]) => `${clients.join(", ")}: ${subscriptions}`).join("; ");
    return [
      error(
        `group ${group}: its members subscribe to different things (${each})`,
        "all members of a group must subscribe to the same topics with the same expressions: else messages are lost to them; use one group per purpose",
      ),
    ];
  }
  if (silent > 0 && asked.size > 1) {
    return [
      warning(
        `group ${group}: ${silent} of ${asked.size} members do not say what they subscribe to`,
        "compare their code: all must subscribe to the same topics with the same expressions",
      ),
    ];
  }
  return [];
}

/** `topic expression, ...`; undefined when the client does not say. */
async function subscriptionsOf(
  servers: GroupQuestions,
  broker: string,
  consumerGroup: string,
  clientId: string,
): Promise<string | undefined> {
  try {
    const header = { consumerGroup, clientId, jstackEnable: false };
    const answer = await servers.ask(broker, "GET_CONSUMER_RUNNING_INFO", header);
    if (answer.code !== ResponseCode.SUCCESS) return undefined;
    const list = readBean("ConsumerRunningInfo", answer.body).list("subscriptionSet", asBean(readSubscription)) ?? [];
    const lines = list.filter(({ topic }) => !topic.startsWith(RETRY)).map(({ topic, sub }) => `${topic} ${sub}`);
    return lines.length === 0 ? undefined : lines.sort().join(", ");
  } catch {
    return undefined;
  }
}

function readSubscription(bean: { text(key: string): string | undefined }): { topic: string; sub: string } {
  return { topic: bean.text("topic") ?? "", sub: bean.text("subString") ?? "*" };
}

function names(topics: Iterable<string>): string {
  const shown = [...topics].filter((topic) => !topic.startsWith(RETRY)).sort();
  return shown.length === 0 ? "nothing" : shown.join(", ");
}
