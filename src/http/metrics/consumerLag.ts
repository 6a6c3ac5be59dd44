/**
 * How far online groups are behind the topics that they subscribe to (Apache: ConsumerLagCalculator): messages not consumed,
 * given out but not consumed, not given out yet, and how old the oldest of them are. Groups of lite topics are left out, as in
 * Apache without its options for them; messages that a filter would pass over are counted (Apache estimates how many pass).
 */
import type { Clock } from "../../base/clock.ts";
import { isReadable, isWriteable } from "../../broker/model.ts";
import { RETRY_PREFIX } from "../../broker/names.ts";
import type { PopGroups } from "../../broker/pop/state.ts";
import type { BrokerParts } from "../../handlers/parts.ts";
import { popRetryTopic } from "../../protocol/extraInfo.ts";

export type LagParts = Pick<BrokerParts, "config" | "clock" | "topics" | "groups" | "offsets" | "clients" | "store"> & {
  readonly pops: { readonly groups: PopGroups };
};

/** One group on one topic, or on its retry topic of pops. */
export interface ConsumerLag {
  readonly group: string;
  /** The topic subscribed to, also for its retry topic. */
  readonly topic: string;
  readonly isRetry: boolean;
  lag: number;
  inFlight: number;
  available: number;
  /** Age of the oldest message not consumed, and of the oldest not given out, ms; 0 when there is none. */
  lagMs: number;
  queueingMs: number;
}

/** Queues looked at in one turn of the event loop. */
const QUEUES_PER_TURN = 256;

/** All of them; reads store times, so it takes several turns. */
export async function consumerLags(parts: LagParts): Promise<ConsumerLag[]> {
  const lags: ConsumerLag[] = [];
  const pace = new Pace(parts.clock);
  for (const { group, topic, isPop } of subscribed(parts)) {
    lags.push(await lagOf(parts, group, topic, topic, isPop, false, pace));
    if (!isPop) continue;
    lags.push(await lagOf(parts, group, topic, retryTopicOf(parts, topic, group), true, true, pace));
  }
  return lags;
}

function* subscribed({ config, topics, groups, clients }: LagParts): IterableIterator<{
  group: string;
  topic: string;
  isPop: boolean;
}> {
  for (const { groupName: group, subscriptionDataSet, attributes } of [...groups.all()]) {
    if (attributes?.get("lite.bind.topic")) continue;
    const online = clients.consumerGroup(group);
    const names = config.useStaticSubscription
      ? (subscriptionDataSet ?? []).map(({ topic }) => topic)
      : [...(online?.subscriptions.keys() ?? [])];
    const isPop = online?.consumeType === "CONSUME_POP";
    for (const topic of names) {
      if (topic === undefined || topic.startsWith(RETRY_PREFIX)) continue;
      const perm = (topics.get(topic)?.perm ?? 0) & config.brokerPermission;
      if (isReadable(perm) || isWriteable(perm)) yield { group, topic, isPop };
    }
  }
}

/** The retry topic that counts; undefined when there is none. */
function retryTopicOf({ config, topics }: LagParts, topic: string, group: string): string | undefined {
  const names = [popRetryTopic(topic, group, config.enableRetryTopicV2)];
  if (config.enableRetryTopicV2 && config.retrieveMessageFromPopRetryTopicV1) {
    names.push(popRetryTopic(topic, group, false));
  }
  return names.find((name) => topics.get(name) !== undefined);
}

/** @param stored the topic whose queues are looked at; undefined: nothing is there */
async function lagOf(
  parts: LagParts,
  group: string,
  topic: string,
  stored: string | undefined,
  isPop: boolean,
  isRetry: boolean,
  pace: Pace,
): Promise<ConsumerLag> {
  const lag: ConsumerLag = { group, topic, isRetry, lag: 0, inFlight: 0, available: 0, lagMs: 0, queueingMs: 0 };
  const config = stored === undefined ? undefined : parts.topics.get(stored);
  if (stored === undefined || config === undefined) return lag;
  const now = parts.clock.now();
  const popped = isPop ? parts.pops.groups.find(stored, group) : undefined;
  for (let queueId = 0; queueId < config.writeQueueNums; queueId++) {
    await pace.step();
    const end = Math.max(0, parts.store.maxOffset(stored, queueId));
    const committed = parts.offsets.query(group, stored, queueId);
    const pulled = isPop ? committed : parts.offsets.queryPull(group, stored, queueId);
    const inFlight = isPop
      ? (popped?.queues[queueId]?.inFlight ?? 0)
      : Math.max(0, pulled) - (committed < 0 ? Math.max(0, pulled) : committed);
    const consumed = committed < 0 ? end : committed;
    lag.lag += end - consumed + (isPop ? inFlight : 0);
    lag.inFlight += inFlight;
    lag.available += end - (pulled < 0 ? end : pulled);
    const oldest = await ageOf(parts, stored, queueId, isPop ? consumed - inFlight : consumed, end, now);
    lag.lagMs = Math.max(lag.lagMs, oldest);
    const next = isPop ? consumed : Math.max(0, pulled);
    const waiting = next === consumed && !isPop ? oldest : await ageOf(parts, stored, queueId, next, end, now);
    lag.queueingMs = Math.max(lag.queueingMs, waiting);
  }
  return lag;
}

/** How old the message at an offset is, ms; 0 when there is none (yet). */
async function ageOf(
  { store }: LagParts,
  topic: string,
  queueId: number,
  queueOffset: number,
  end: number,
  now: number,
): Promise<number> {
  if (queueOffset < 0 || queueOffset >= end) return 0;
  const storedAt = await store.storeTimeAt(topic, queueId, queueOffset);
  return storedAt > 0 ? Math.max(0, now - storedAt) : 0;
}

/** Lets the event loop go on every so many queues. */
class Pace {
  readonly #clock: Clock;
  #steps = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  step(): Promise<void> | undefined {
    if (++this.#steps % QUEUES_PER_TURN !== 0) return undefined;
    return new Promise((resolve) => this.#clock.endOfTurn(resolve));
  }
}
