/**
 * Deliveries whose time the server prolongs for as long as their client lives (Apache: DefaultReceiptHandleManager):
 * push consumers receive with auto_renew and never say how long they take. A delivery whose client is gone is given back.
 * Its handle changes with each renewal; what the client acknowledges is found by the one it was given.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ProxyConfig } from "../config/index.ts";
import type { Backend } from "./backend.ts";
import { placeOf, type ReceiptHandle, readHandle, topicOfHandle, visibleAt } from "./receiptHandle.ts";
import { retryDelayMs } from "./settings.ts";
import { Refusal } from "./status.ts";

/** RenewStrategyPolicy: each renewal hides for longer. */
const RENEWALS_MS = [60_000, 180_000, 300_000, 600_000, 1_800_000, 3_600_000];
/** Renewals begun in one go; the others follow in the next turn. */
const RENEWALS_PER_TURN = 256;

interface Delivery {
  readonly group: string;
  readonly topic: string;
  readonly messageId: string;
  readonly reconsumeTimes: number;
  /** ms of the wall clock at which it was given */
  readonly givenAt: number;
  handle: ReceiptHandle;
  renewals: number;
  failures: number;
  /** While it is being renewed: resolves when the handle is the new one. */
  renewing: Promise<void> | undefined;
}

/** Deliveries of one client in one group. */
interface Owner {
  readonly clientId: string;
  readonly group: string;
  readonly deliveries: Map<string, Delivery>;
}

export class Renewals {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #config: ProxyConfig;
  readonly #backend: Backend;
  /** Whether a client is still registered in a group. */
  readonly #alive: (clientId: string, group: string) => boolean;
  readonly #owners = new Map<string, Owner>();
  #timer: Timer | undefined;

  constructor(
    clock: Clock,
    log: Logger,
    config: ProxyConfig,
    backend: Backend,
    alive: (clientId: string, group: string) => boolean,
  ) {
    this.#clock = clock;
    this.#log = log;
    this.#config = config;
    this.#backend = backend;
    this.#alive = alive;
  }

  start(): void {
    this.#timer = this.#clock.every(this.#config.renewSchedulePeriodMillis, () => void this.scan());
  }

  /** Gives everything back. */
  async stop(): Promise<void> {
    this.#clock.clear(this.#timer);
    const owners = [...this.#owners.values()];
    this.#owners.clear();
    await Promise.all(owners.map((owner) => this.#giveBack(owner)));
  }

  /** Deliveries under way of one client. */
  count(clientId: string, group: string): number {
    return this.#owners.get(keyOf(clientId, group))?.deliveries.size ?? 0;
  }

  get size(): number {
    let size = 0;
    for (const { deliveries } of this.#owners.values()) size += deliveries.size;
    return size;
  }

  add(
    clientId: string,
    group: string,
    topic: string,
    messageId: string,
    reconsumeTimes: number,
    handle: ReceiptHandle,
  ): void {
    const key = keyOf(clientId, group);
    let owner = this.#owners.get(key);
    if (owner === undefined) {
      owner = { clientId, group, deliveries: new Map() };
      this.#owners.set(key, owner);
    }
    owner.deliveries.set(deliveryKey(messageId, handle), {
      group,
      topic,
      messageId,
      reconsumeTimes,
      givenAt: handle.popTime,
      handle,
      renewals: 0,
      failures: 0,
      renewing: undefined,
    });
  }

  /** Takes a delivery out; its handle as it is now, or the given one when it is not renewed here. @throws Refusal */
  async take(clientId: string, group: string, messageId: string, given: string): Promise<ReceiptHandle> {
    const handle = readHandle(given);
    const owner = this.#owners.get(keyOf(clientId, group));
    const key = deliveryKey(messageId, handle);
    const delivery = owner?.deliveries.get(key);
    if (owner === undefined || delivery === undefined) return handle;
    if (delivery.renewing !== undefined) await delivery.renewing;
    owner.deliveries.delete(key);
    if (owner.deliveries.size === 0 && this.#owners.get(keyOf(clientId, group)) === owner) {
      this.#owners.delete(keyOf(clientId, group));
    }
    return delivery.handle;
  }

  /** A client left: nobody works on its deliveries any more. */
  clientGone(clientId: string, group: string | undefined): void {
    if (group === undefined) return;
    const key = keyOf(clientId, group);
    const owner = this.#owners.get(key);
    if (owner === undefined) return;
    this.#owners.delete(key);
    void this.#giveBack(owner);
  }

  /** Renews what is due soon. */
  async scan(): Promise<void> {
    const due = this.#clock.now() + this.#config.renewAheadTimeMillis;
    let begun = 0;
    for (const owner of [...this.#owners.values()]) {
      if (!this.#alive(owner.clientId, owner.group)) {
        this.clientGone(owner.clientId, owner.group);
        continue;
      }
      for (const [key, delivery] of owner.deliveries) {
        if (delivery.renewing !== undefined || visibleAt(delivery.handle) > due) continue;
        delivery.renewing = this.#renew(owner, key, delivery).finally(() => {
          delivery.renewing = undefined;
        });
        if (++begun % RENEWALS_PER_TURN === 0) await new Promise<void>((resolve) => this.#clock.endOfTurn(resolve));
      }
    }
  }

  async #renew(owner: Owner, key: string, delivery: Delivery): Promise<void> {
    const config = this.#config;
    const drop = () => owner.deliveries.delete(key);
    if (delivery.failures >= config.maxRenewRetryTimes) {
      this.#log.warn({ group: owner.group, messageId: delivery.messageId }, "a delivery could not be prolonged");
      drop();
      return;
    }
    if (this.#clock.now() - delivery.givenAt >= config.renewMaxTimeMillis) {
      // Whoever works that long has lost it: it comes again as if it had failed.
      drop();
      const policy = (await this.#backend.group(delivery.group))?.groupRetryPolicy;
      if (policy !== undefined) await this.#change(delivery, retryDelayMs(policy, delivery.reconsumeTimes), true);
      return;
    }
    const time = RENEWALS_MS[Math.min(delivery.renewals, RENEWALS_MS.length - 1)];
    switch (await this.#change(delivery, time, false)) {
      case "done":
        delivery.renewals++;
        delivery.failures = 0;
        return;
      case "gone":
        drop();
        return;
      case "failed":
        delivery.failures++;
    }
  }

  async #giveBack(owner: Owner): Promise<void> {
    for (const delivery of owner.deliveries.values()) {
      if (delivery.renewing !== undefined) await delivery.renewing;
      await this.#change(delivery, this.#config.invisibleTimeMillisWhenClear, true);
    }
    owner.deliveries.clear();
  }

  /** @returns "gone" when trying again cannot help */
  async #change(delivery: Delivery, invisibleMs: number, last: boolean): Promise<"done" | "gone" | "failed"> {
    const { handle, group, topic } = delivery;
    // Too late: it is on its way to somebody else already.
    if (visibleAt(handle) <= this.#clock.now()) return "gone";
    try {
      const from = topicOfHandle(handle, topic, group);
      const renewed = await this.#backend.changeInvisible(handle, group, from, invisibleMs, false, "renewal");
      if (!("popTime" in renewed)) {
        this.#log.warn(
          { group, messageId: delivery.messageId, reason: renewed.remark },
          "a delivery was not prolonged",
        );
        return "gone";
      }
      delivery.handle = renewed;
      return "done";
    } catch (error) {
      if (!last) this.#log.error({ err: error, group, messageId: delivery.messageId }, "a delivery was not prolonged");
      return error instanceof Refusal ? "gone" : "failed";
    }
  }
}

function keyOf(clientId: string, group: string): string {
  return `${clientId} ${group}`;
}

/** A message may be delivered twice at a time under one id: as it was sent, and from the retry topic. */
function deliveryKey(messageId: string, handle: ReceiptHandle): string {
  return `${messageId} ${placeOf(handle)}`;
}
