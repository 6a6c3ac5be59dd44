/**
 * Who subscribes to which lite topics, which of them may have something for whom, and who waits (Apache:
 * LiteSubscriptionRegistryImpl, LiteEventDispatcher, PopLiteLongPollingService).
 *
 * Apache hands each event to one client beforehand, and takes it back when that client is slow. Here a lite topic that has
 * something is marked ready for every subscriber of a group, and whoever pops first gets it: what is given out blocks the
 * lite topic for the others. A client's marks are a subset of its subscriptions, so they need no bound of their own; the
 * clients of a wildcard group share one set.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { LITE_CLIENTS_MAX, LITE_WAITING_MAX } from "../../base/limits.ts";

/** A pop that waits. */
export interface LiteWaiter {
  readonly clientId: string;
  /** Monotonic ms. */
  readonly deadline: number;
  alive(): boolean;
  /** Tries again; with `last` it must answer. True when it was answered. */
  wake(last: boolean): boolean;
}

/** How to tell a client that it lost a lite topic. */
export type Notify = (group: string, lmq: string) => void;

/** Clients or subscriptions that would be too many; becomes LITE_SUBSCRIPTION_QUOTA_EXCEEDED. */
export class LiteQuotaError extends Error {}

export class LiteClient {
  readonly clientId: string;
  readonly group: string;
  readonly topic: string;
  readonly lmqs = new Set<string>();
  /** Lite topics that may have something, the longest waiting first. */
  ready: Set<string>;
  readonly waiting: LiteWaiter[] = [];
  /** Monotonic ms of the last word of its subscriptions. */
  updatedAt = 0;
  /** ms, wall clock, of the last pop; -1 before the first. */
  poppedAt = -1;
  notify: Notify = () => {};

  constructor(clientId: string, group: string, topic: string, ready: Set<string>) {
    this.clientId = clientId;
    this.group = group;
    this.topic = topic;
    this.ready = ready;
  }
}

/** The clients of a group that subscribes to all lite topics of its parent. */
interface Wildcard {
  readonly topic: string;
  readonly ready: Set<string>;
  readonly clients: Set<LiteClient>;
}

const SWEEP_MS = 500;

export class LiteSubscriptions {
  readonly #clock: Clock;
  readonly #clients = new Map<string, LiteClient>();
  /** Light queue to group to its subscribers. */
  readonly #byLmq = new Map<string, Map<string, Set<LiteClient>>>();
  readonly #wildcards = new Map<string, Wildcard>();
  /** Pairs of client and lite topic. */
  #active = 0;
  #waiting = 0;
  #timer: Timer | undefined;
  #turn = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(): void {
    this.#timer = this.#clock.every(SWEEP_MS, () => this.sweep());
  }

  /** Answers everybody who waits. */
  stop(): void {
    this.#clock.clear(this.#timer);
    for (const client of this.#clients.values()) {
      for (const waiter of client.waiting.splice(0)) if (waiter.alive()) waiter.wake(true);
    }
    this.#waiting = 0;
  }

  get active(): number {
    return this.#active;
  }

  find(clientId: string): LiteClient | undefined {
    return this.#clients.get(clientId);
  }

  clients(): IterableIterator<LiteClient> {
    return this.#clients.values();
  }

  /** The subscribers of a lite topic by group, wildcard groups left out. */
  subscribers(lmq: string): ReadonlyMap<string, ReadonlySet<LiteClient>> | undefined {
    return this.#byLmq.get(lmq);
  }

  /** Whether the client subscribes to all lite topics of its parent. */
  isWildcard(client: LiteClient): boolean {
    return this.#wildcards.get(client.group)?.clients.has(client) ?? false;
  }

  /** The groups that subscribe to all lite topics of a parent and have a client. */
  wildcardGroups(topic: string): string[] {
    return [...this.#wildcards].filter(([, wildcard]) => wildcard.topic === topic).map(([group]) => group);
  }

  /** A client is there, with or without subscriptions. One that changed its group begins anew. @throws LiteQuotaError */
  touch(clientId: string, group: string, topic: string, notify?: Notify): LiteClient {
    let client = this.#clients.get(clientId);
    if (client !== undefined && (client.group !== group || client.topic !== topic)) {
      this.remove(clientId);
      client = undefined;
    }
    if (client === undefined) {
      if (this.#clients.size >= LITE_CLIENTS_MAX)
        throw new LiteQuotaError(`there are ${LITE_CLIENTS_MAX} lite clients`);
      client = new LiteClient(clientId, group, topic, new Set());
      this.#clients.set(clientId, client);
    }
    if (notify !== undefined) client.notify = notify;
    client.updatedAt = this.#clock.monotonicMs();
    return client;
  }

  /** The client subscribes to all lite topics of its parent, as its group does; true when that is new. */
  joinWildcard(client: LiteClient): boolean {
    let wildcard = this.#wildcards.get(client.group);
    if (wildcard?.clients.has(client)) return false;
    if (wildcard === undefined) {
      wildcard = { topic: client.topic, ready: new Set(), clients: new Set() };
      this.#wildcards.set(client.group, wildcard);
    }
    wildcard.clients.add(client);
    client.ready = wildcard.ready;
    this.#active++;
    return true;
  }

  /** True when it is new. */
  add(client: LiteClient, lmq: string): boolean {
    if (client.lmqs.has(lmq)) return false;
    client.lmqs.add(lmq);
    let groups = this.#byLmq.get(lmq);
    if (groups === undefined) {
      groups = new Map();
      this.#byLmq.set(lmq, groups);
    }
    const clients = groups.get(client.group);
    if (clients === undefined) groups.set(client.group, new Set([client]));
    else clients.add(client);
    this.#active++;
    return true;
  }

  /** True when it was there. */
  drop(client: LiteClient, lmq: string): boolean {
    if (!client.lmqs.delete(lmq)) return false;
    client.ready.delete(lmq);
    this.#active--;
    const groups = this.#byLmq.get(lmq);
    const clients = groups?.get(client.group);
    clients?.delete(client);
    if (clients?.size === 0) groups?.delete(client.group);
    if (groups?.size === 0) this.#byLmq.delete(lmq);
    return true;
  }

  /** Forgets a client; what was marked for it is marked for the others already. */
  remove(clientId: string): void {
    const client = this.#clients.get(clientId);
    if (client === undefined) return;
    this.#clients.delete(clientId);
    for (const lmq of [...client.lmqs]) this.drop(client, lmq);
    const wildcard = this.#wildcards.get(client.group);
    if (wildcard?.clients.delete(client)) {
      this.#active--;
      if (wildcard.clients.size === 0) this.#wildcards.delete(client.group);
    }
    const waiting = client.waiting.splice(0);
    this.#waiting -= waiting.length;
    for (const waiter of waiting) if (waiter.alive()) waiter.wake(true);
  }

  /** Forgets a lite topic that is deleted. */
  deleted(lmq: string): void {
    for (const clients of [...(this.#byLmq.get(lmq)?.values() ?? [])]) {
      for (const client of [...clients]) this.drop(client, lmq);
    }
    for (const { ready } of this.#wildcards.values()) ready.delete(lmq);
  }

  /** Clients that have not said for so long what they subscribe to. */
  silentFor(ms: number): string[] {
    const limit = this.#clock.monotonicMs() - ms;
    return [...this.#clients.values()].filter(({ updatedAt }) => updatedAt < limit).map(({ clientId }) => clientId);
  }

  /** A lite topic has something, for one group or for all. */
  arrived(lmq: string, topic: string, onlyGroup?: string): void {
    const groups = this.#byLmq.get(lmq);
    if (groups !== undefined) {
      for (const [group, clients] of [...groups]) {
        if (onlyGroup !== undefined && group !== onlyGroup) continue;
        for (const client of clients) client.ready.add(lmq);
        this.#wakeOne(clients);
      }
    }
    for (const [group, wildcard] of [...this.#wildcards]) {
      if (wildcard.topic !== topic || (onlyGroup !== undefined && group !== onlyGroup)) continue;
      wildcard.ready.add(lmq);
      this.#wakeOne(wildcard.clients);
    }
  }

  /** A lite topic has something that one client should look at, as its newest subscriber. */
  readyFor(client: LiteClient, lmq: string): void {
    client.ready.add(lmq);
    this.#wakeOne(new Set([client]));
  }

  /** Takes a pop in that found nothing; false when too many wait. */
  wait(client: LiteClient, waiter: LiteWaiter): boolean {
    if (this.#waiting >= LITE_WAITING_MAX) return false;
    client.waiting.push(waiter);
    this.#waiting++;
    return true;
  }

  /** Wakes one of those who wait, another one first each time. */
  #wakeOne(clients: ReadonlySet<LiteClient>): void {
    const list = [...clients].filter(({ waiting }) => waiting.length > 0);
    const first = this.#turn++;
    for (let i = 0; i < list.length; i++) {
      const client = list[(first + i) % list.length];
      for (let left = client.waiting.length; left > 0; left--) {
        const waiter = client.waiting.shift();
        if (waiter === undefined) break;
        this.#waiting--;
        if (!waiter.alive()) continue;
        if (waiter.wake(false)) return;
        client.waiting.push(waiter);
        this.#waiting++;
      }
    }
  }

  /** Lets go whose time is over or who has left. */
  sweep(): void {
    const now = this.#clock.monotonicMs();
    for (const client of this.#clients.values()) {
      if (client.waiting.length === 0) continue;
      const waiting = client.waiting.splice(0);
      this.#waiting -= waiting.length;
      for (const waiter of waiting) {
        if (!waiter.alive()) continue;
        const last = waiter.deadline <= now;
        if (last && waiter.wake(true)) continue;
        client.waiting.push(waiter);
        this.#waiting++;
      }
    }
  }
}
