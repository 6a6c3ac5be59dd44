/** How far groups are behind, and what they subscribe to (Apache: AdminBrokerProcessor). */
import { localTimestamp } from "../base/clock.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";
import { type ConsumeStats, encodeConsumeStats, type OffsetWrapper } from "../protocol/bodies/stats.ts";
import { encodeTopicList } from "../protocol/bodies/topicList.ts";
import type { Row } from "../protocol/dispatch.ts";
import {
  GetConsumeStatsInBrokerHeader,
  GetConsumeStatsRequestHeader,
  QueryConsumeTimeSpanRequestHeader,
  QuerySubscriptionByConsumerRequestHeader,
  QueryTopicsByConsumerRequestHeader,
} from "../protocol/generated/headers.ts";
import { JavaWritten, writeJavaJson } from "../protocol/javaJson.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

/**
 * Queues looked at in one turn of the event loop: a broker's whole consume stats must not hold up its messages. Each may cost two reads
 * of a few bytes from the page cache.
 */
const QUEUES_PER_TURN = 128;
/** Queues that the disk is asked about side by side. */
const READS_AT_ONCE = 64;

type Parts = Pick<
  BrokerParts,
  "config" | "clock" | "topics" | "groups" | "offsets" | "clients" | "stats" | "store" | "address"
>;

export function consumeStatsRows(parts: Parts): Row[] {
  const { topics, offsets, clients } = parts;
  return [
    requestRow("GET_CONSUME_STATS", GetConsumeStatsRequestHeader, async ({ header }) => {
      const group = need(header.consumerGroup, "consumerGroup");
      const stats: ConsumeStats = { consumeTps: 0, offsetTable: new Map() };
      const times = new StoreTimes(parts);
      for (const topic of topicsToCollect(parts, group, header.topic, header.topicList)) {
        const config = topics.get(topic);
        if (config === undefined) continue;
        await collect(parts, group, topic, config.readQueueNums, stats, true, times);
      }
      await times.finish();
      return ok(undefined, encodeConsumeStats(stats));
    }),
    requestRow("GET_BROKER_CONSUME_STATS", GetConsumeStatsInBrokerHeader, async ({ header }) =>
      ok(undefined, await allStats(parts, header.isOrder ?? false)),
    ),
    requestRow("QUERY_TOPICS_BY_CONSUMER", QueryTopicsByConsumerRequestHeader, ({ header }) => {
      const topicList = offsets.topicsOf(need(header.group, "group"));
      return ok(undefined, encodeTopicList({ brokerAddr: parts.address(), topicList }));
    }),
    requestRow("QUERY_SUBSCRIPTION_BY_CONSUMER", QuerySubscriptionByConsumerRequestHeader, ({ header }) => {
      const group = need(header.group, "group");
      const { topic } = header;
      const subscriptionData = topic === undefined ? undefined : clients.subscription(group, topic);
      return ok(undefined, writeJavaJson({ group, subscriptionData, topic }));
    }),
    requestRow("QUERY_CONSUME_TIME_SPAN", QueryConsumeTimeSpanRequestHeader, async ({ header }) => {
      const config = topics.get(header.topic);
      if (config === undefined) return refuse("TOPIC_NOT_EXIST", `topic[${header.topic}] not exist`);
      const group = need(header.group, "group");
      const consumeTimeSpanSet: object[] = [];
      for (let queueId = 0; queueId < config.writeQueueNums; queueId++) {
        consumeTimeSpanSet.push(await timeSpan(parts, group, header.topic, queueId));
      }
      return ok(undefined, writeJavaJson({ consumeTimeSpanSet }));
    }),
  ];
}

/** Named topics as they are; else those the group has offsets for, without what its consumers no longer subscribe to. */
function topicsToCollect(parts: Parts, group: string, topic: string | undefined, list: string | undefined): string[] {
  const named = (list ?? "").split(";").filter((name) => name !== "");
  if (named.length > 0) return [...new Set(named)];
  const found = topic === undefined || topic.trim() === "" ? parts.offsets.topicsOf(group) : [topic];
  return found.filter((name) => isSubscribed(parts, group, name));
}

/** A group without a connected consumer counts as subscribed to everything it has offsets for. */
function isSubscribed({ clients }: Parts, group: string, topic: string): boolean {
  const subscriptions = clients.consumerGroup(group)?.subscriptions;
  return subscriptions === undefined || subscriptions.size === 0 || subscriptions.has(topic);
}

/**
 * The store times of an answer. Most are there at once; where idle queues must be read from the disk, some are side by side. The event loop
 * goes on after so many queues, however many there are.
 */
class StoreTimes {
  readonly #parts: Parts;
  readonly #reads: Promise<void>[] = [];
  #queues = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** One more queue; `wrapper` gets the store time of the message before its consumer offset. */
  add(wrapper: OffsetWrapper, topic: string, queueId: number): Promise<void> | undefined {
    const { consumerOffset } = wrapper;
    const time = consumerOffset > 0 ? this.#parts.store.storeTimeAt(topic, queueId, consumerOffset - 1) : 0;
    if (typeof time === "number") wrapper.lastTimestamp = Math.max(0, time);
    else this.#reads.push(this.#note(wrapper, time));
    return ++this.#queues >= QUEUES_PER_TURN || this.#reads.length >= READS_AT_ONCE ? this.finish() : undefined;
  }

  async #note(wrapper: OffsetWrapper, time: Promise<number>): Promise<void> {
    wrapper.lastTimestamp = Math.max(0, await time);
  }

  /** Waits for what is being read. */
  async settled(): Promise<void> {
    if (this.#reads.length > 0) await Promise.all(this.#reads.splice(0));
  }

  /** The same, and lets the others of this turn go first. */
  async finish(): Promise<void> {
    this.#queues = 0;
    await this.settled();
    await new Promise<void>((resolve) => this.#parts.clock.endOfTurn(resolve));
  }
}

/** Adds the queues of one topic to `stats`; without pulls their offset stays 0, as in Apache's list of all groups. */
async function collect(
  parts: Parts,
  group: string,
  topic: string,
  queues: number,
  stats: ConsumeStats,
  withPulls: boolean,
  times: StoreTimes,
): Promise<void> {
  const { config, store, offsets } = parts;
  for (let queueId = 0; queueId < queues; queueId++) {
    const consumerOffset = Math.max(0, offsets.query(group, topic, queueId));
    const queue: MessageQueue = { brokerName: config.brokerName, queueId, topic };
    const wrapper: OffsetWrapper = {
      brokerOffset: Math.max(0, store.maxOffset(topic, queueId)),
      consumerOffset,
      lastTimestamp: 0,
      pullOffset: withPulls ? Math.max(consumerOffset, offsets.queryPull(group, topic, queueId)) : 0,
    };
    stats.offsetTable.set(queue, wrapper);
    const reading = times.add(wrapper, topic, queueId);
    if (reading !== undefined) await reading;
  }
  stats.consumeTps += parts.stats.getTps(group, topic);
}

/** ConsumeStatsList: every group of this broker. Each is written when its figures are there: all at once would hold up a turn. */
async function allStats(parts: Parts, orderedOnly: boolean): Promise<string> {
  const consumeStatsList: JavaWritten[] = [];
  const times = new StoreTimes(parts);
  let totalDiff = 0;
  let totalInflightDiff = 0;
  for (const { groupName } of [...parts.groups.all()]) {
    const ofGroup: ConsumeStats[] = [];
    for (const topic of parts.offsets.topicsOf(groupName)) {
      const config = parts.topics.get(topic);
      if (config === undefined || (orderedOnly && !config.order)) continue;
      if (!isSubscribed(parts, groupName, topic)) continue;
      const stats: ConsumeStats = { consumeTps: 0, offsetTable: new Map() };
      await collect(parts, groupName, topic, config.writeQueueNums, stats, false, times);
      for (const wrapper of stats.offsetTable.values()) {
        totalDiff += wrapper.brokerOffset - wrapper.consumerOffset;
        totalInflightDiff += wrapper.pullOffset - wrapper.consumerOffset;
      }
      ofGroup.push(stats);
    }
    await times.settled();
    const statsList = ofGroup.map((stats) => new JavaWritten(encodeConsumeStats(stats)));
    consumeStatsList.push(new JavaWritten(writeJavaJson(new Map([[groupName, statsList]]))));
  }
  return writeJavaJson({ brokerAddr: parts.address(), consumeStatsList, totalDiff, totalInflightDiff });
}

async function timeSpan(parts: Parts, group: string, topic: string, queueId: number): Promise<object> {
  const { config, clock, store, offsets } = parts;
  const minTimeStamp = await store.storeTimeAt(topic, queueId, store.minOffset(topic, queueId));
  const end = store.maxOffset(topic, queueId);
  const consumed = offsets.query(group, topic, queueId);
  const consumeTimeStamp = consumed > 0 ? await store.storeTimeAt(topic, queueId, consumed - 1) : minTimeStamp;
  const maxTimeStamp = await store.storeTimeAt(topic, queueId, end - 1);
  const delayTime = consumed < end ? clock.now() - (await store.storeTimeAt(topic, queueId, consumed)) : 0;
  return {
    consumeTimeStamp,
    consumeTimeStampStr: readable(consumeTimeStamp),
    delayTime,
    maxTimeStamp,
    maxTimeStampStr: readable(maxTimeStamp),
    messageQueue: { brokerName: config.brokerName, queueId, topic },
    minTimeStamp,
    minTimeStampStr: readable(minTimeStamp),
  };
}

/** `yyyy-MM-dd#HH:mm:ss:SSS` in local time, as Apache's class adds to its figures. */
function readable(timeMs: number): string {
  const t = localTimestamp(timeMs);
  return `${t.slice(0, 4)}-${t.slice(4, 6)}-${t.slice(6, 8)}#${t.slice(8, 10)}:${t.slice(10, 12)}:${t.slice(12, 14)}:${t.slice(14)}`;
}
