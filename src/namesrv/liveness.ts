/**
 * Removes brokers that are gone: unregistered, disconnected, or silent for too long. Removals of one event-loop turn are
 * done in one pass, because each pass visits every topic (a rack that loses power closes hundreds of connections at once).
 * Mirrors BrokerHousekeepingService, BatchUnregistrationService and RouteInfoManager.scanNotActiveBroker.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { NamesrvOptions } from "../config/index.ts";
import type { Caller } from "../protocol/dispatch.ts";
import type { NotifyMinBrokerIdChangeRequestHeader } from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import type { BrokerIdentity, MinBrokerChange, RouteTable } from "./routeTable.ts";

/** Sends a oneway request to a broker's own address; it may get lost. */
export type SendOneway = (addr: string, code: number, header: NotifyMinBrokerIdChangeRequestHeader) => void;

/** First scan after the start; the period after it is scanNotActiveBrokerInterval. */
const FIRST_SCAN_MS = 5_000;

export class Liveness {
  readonly #table: RouteTable;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #config: Pick<NamesrvOptions, LivenessOption>;
  readonly #send: SendOneway | undefined;
  readonly #watched = new WeakSet<Caller>();
  #leaving: BrokerIdentity[] = [];
  #timer: Timer | undefined;
  #stopped = false;

  constructor(
    table: RouteTable,
    clock: Clock,
    log: Logger,
    config: Pick<NamesrvOptions, LivenessOption>,
    send?: SendOneway,
  ) {
    this.#table = table;
    this.#clock = clock;
    this.#log = log;
    this.#config = config;
    this.#send = send;
  }

  start(): void {
    this.#timer = this.#clock.after(FIRST_SCAN_MS, () => this.#scanAndRepeat());
  }

  stop(): void {
    this.#stopped = true;
    this.#clock.clear(this.#timer);
  }

  /** Removes the brokers that registered over `caller` as soon as it closes. Once per connection is enough. */
  watch(caller: Caller): void {
    if (this.#watched.has(caller)) return;
    this.#watched.add(caller);
    caller.onClose(() => {
      for (const broker of this.#table.registeredBy(caller)) {
        this.#log.info({ broker }, "connection of a broker closed: removing the broker");
        this.#leave(broker);
      }
    });
  }

  /** Removes `broker` at the end of this turn; false when too many wait already (unRegisterBrokerQueueCapacity). */
  unregister(broker: BrokerIdentity): boolean {
    if (this.#leaving.length >= this.#config.unRegisterBrokerQueueCapacity) return false;
    this.#leave(broker);
    return true;
  }

  /** Removes now what waits; a registration that follows an unregistration in the same turn must not be undone by it. */
  flush(): void {
    if (this.#leaving.length === 0) return;
    const leaving = this.#leaving;
    this.#leaving = [];
    for (const change of this.#table.unregister(leaving)) this.announce(change);
    this.#log.info({ brokers: leaving }, "brokers removed");
  }

  /** Tells the members of a broker group who its smallest member is now, if notifyMinBrokerIdChanged. */
  announce({ tell, ...header }: MinBrokerChange): void {
    if (!this.#config.notifyMinBrokerIdChanged) return;
    if (this.#send === undefined) {
      this.#log.warn({ tell, ...header }, "notifyMinBrokerIdChanged is on, but this NameServer has no way to send");
      return;
    }
    for (const addr of tell) this.#send(addr, RequestCode.NOTIFY_MIN_BROKER_ID_CHANGE, header);
  }

  #leave(broker: BrokerIdentity): void {
    this.#leaving.push(broker);
    if (this.#leaving.length === 1) this.#clock.endOfTurn(() => this.flush());
  }

  #scanAndRepeat(): void {
    for (const broker of this.#table.silentAt(this.#clock.monotonicMs())) {
      this.#log.warn({ broker }, "broker was silent for too long: removing it");
      this.#leave(broker);
    }
    if (!this.#stopped) {
      this.#timer = this.#clock.after(this.#config.scanNotActiveBrokerInterval, () => this.#scanAndRepeat());
    }
  }
}

type LivenessOption = "unRegisterBrokerQueueCapacity" | "notifyMinBrokerIdChanged" | "scanNotActiveBrokerInterval";
