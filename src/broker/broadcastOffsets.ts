/**
 * How far each member of a broadcasting group has pulled (Apache: BroadcastOffsetManager). Such members keep their offsets
 * themselves; this one serves those that move between the broker and a proxy, which asks for its clients: who comes from
 * the other side, or through a proxy without an offset, is told where to go on. Every five seconds the smallest offset of
 * each queue is committed for `group@broadcast`, where a new member behind a proxy begins. In memory only, as in Apache.
 */
import type { Clock, Timer } from "../base/clock.ts";
import * as limits from "../base/limits.ts";
import type { Clients, ConsumerGroup } from "./clients.ts";
import type { Offsets } from "./offsets.ts";

/** The options this table reads, by Apache's keys. */
export interface BroadcastOptions {
  readonly enableBroadcastOffsetStore: boolean;
  /** Seconds after which a member that left is forgotten. */
  readonly broadcastOffsetExpireSecond: number;
  /** Seconds without a pull after which a member is forgotten though it is connected. */
  readonly broadcastOffsetExpireMaxSecond: number;
}

const SCAN_PERIOD_MS = 5_000;
const NONE = -1;

/** One member's pulls of one topic. */
interface Member {
  /** Of the last pull, ms of the monotonic clock. */
  seen: number;
  fromProxy: boolean;
  /** By queue id. */
  readonly offsets: Map<number, number>;
}

export class BroadcastOffsets {
  readonly #options: BroadcastOptions;
  readonly #clients: Clients;
  readonly #offsets: Offsets;
  readonly #clock: Clock;
  /** By group, topic and client id. */
  readonly #groups = new Map<string, Map<string, Map<string, Member>>>();
  #members = 0;
  #timer: Timer | undefined;

  constructor(options: BroadcastOptions, clients: Clients, offsets: Offsets, clock: Clock) {
    this.#options = options;
    this.#clients = clients;
    this.#offsets = offsets;
    this.#clock = clock;
  }

  start(): void {
    this.#timer = this.#clock.every(SCAN_PERIOD_MS, () => this.scan());
  }

  stop(): void {
    this.#clock.clear(this.#timer);
  }

  /** Whether a group's pulls are noted here. Hot: asked at every pull. */
  concerns(group: ConsumerGroup | undefined): boolean {
    return (
      group !== undefined &&
      group.messageModel === "BROADCASTING" &&
      group.consumeType === "CONSUME_PASSIVELY" &&
      this.#options.enableBroadcastOffsetStore
    );
  }

  /** A member pulled from an offset, or a proxy for it; only a larger one than before counts. */
  pulled(group: string, topic: string, queueId: number, offset: number, clientId: string, fromProxy: boolean): void {
    const member = this.#make(group, topic, clientId, fromProxy);
    if (member === undefined) return;
    member.seen = this.#clock.monotonicMs();
    member.fromProxy = fromProxy;
    if (offset > (member.offsets.get(queueId) ?? NONE)) member.offsets.set(queueId, offset);
  }

  /**
   * Where a member must go on instead of the offset it asks for; undefined when it may have that.
   * @returns -1 when nothing is known of the queue: it begins as a new group does
   */
  initialOffset(
    group: string,
    topic: string,
    queueId: number,
    asked: number,
    clientId: string,
    fromProxy: boolean,
  ): number | undefined {
    const members = this.#groups.get(group)?.get(topic);
    if (members === undefined) {
      return fromProxy && asked < 0 ? this.#offsets.query(groupOf(group), topic, queueId) : undefined;
    }
    const member = this.#make(group, topic, clientId, fromProxy);
    const wasProxy = member?.fromProxy ?? fromProxy;
    if (!(wasProxy && asked < 0) && wasProxy === fromProxy) return undefined;
    const noted = member?.offsets.get(queueId) ?? NONE;
    return noted >= 0 ? noted : this.#offsets.query(groupOf(group), topic, queueId);
  }

  #make(group: string, topic: string, clientId: string, fromProxy: boolean): Member | undefined {
    let topics = this.#groups.get(group);
    let members = topics?.get(topic);
    let member = members?.get(clientId);
    // Ids of clients behind proxies are anybody's words.
    if (member !== undefined || this.#members >= limits.BROADCAST_MEMBERS_MAX) return member;
    if (topics === undefined) {
      topics = new Map();
      this.#groups.set(group, topics);
    }
    if (members === undefined) {
      members = new Map();
      topics.set(topic, members);
    }
    member = { seen: this.#clock.monotonicMs(), fromProxy, offsets: new Map() };
    members.set(clientId, member);
    this.#members++;
    return member;
  }

  /** Commits the smallest offset of each queue, and forgets members that do not pull any more. */
  scan(): void {
    const now = this.#clock.monotonicMs();
    const { broadcastOffsetExpireSecond, broadcastOffsetExpireMaxSecond } = this.#options;
    for (const [group, topics] of this.#groups) {
      const online = new Set(this.#clients.consumerGroup(group)?.clientIds());
      for (const [topic, members] of topics) {
        const least = new Map<number, number>();
        for (const [clientId, member] of members) {
          const silentMs = now - member.seen;
          const connected = online.has(clientId);
          if (connected || silentMs < broadcastOffsetExpireSecond * 1000) {
            for (const [queueId, offset] of member.offsets) {
              least.set(queueId, Math.min(least.get(queueId) ?? offset, offset));
            }
          }
          const patience = connected ? broadcastOffsetExpireMaxSecond : broadcastOffsetExpireSecond;
          if (silentMs < patience * 1000) continue;
          members.delete(clientId);
          this.#members--;
        }
        if (members.size === 0) topics.delete(topic);
        for (const [queueId, offset] of least) this.#commit(groupOf(group), topic, queueId, offset);
      }
      if (topics.size === 0) this.#groups.delete(group);
    }
  }

  #commit(group: string, topic: string, queueId: number, offset: number): void {
    // A group at rest shall not have the file written every time.
    if (this.#offsets.query(group, topic, queueId) !== offset) this.#offsets.commit(group, topic, queueId, offset);
  }

  /** Members known, of all topics and groups. */
  get size(): number {
    return this.#members;
  }
}

/** The group under whose name the smallest offsets are committed. */
function groupOf(group: string): string {
  return `${group}@broadcast`;
}
