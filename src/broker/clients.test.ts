import { describe, expect, it, vi } from "vitest";
import { silentLogger } from "../base/log.ts";
import type { SubscriptionData } from "../protocol/bodies/subscriptionData.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { FakeCaller } from "../testing/fakeCaller.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { type Client, type ClientOptions, Clients, type ConsumerKind } from "./clients.ts";

const PUSH: ConsumerKind = {
  consumeType: "CONSUME_PASSIVELY",
  messageModel: "CLUSTERING",
  consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
};

function make(notifyConsumerIdsChangedEnable = true, given: Partial<ClientOptions> = {}) {
  const clock = new FakeClock();
  const log = silentLogger();
  const warn = vi.spyOn(log, "warn");
  const options: ClientOptions = {
    notifyConsumerIdsChangedEnable,
    realTimeNotifyConsumerChange: true,
    enableRegisterProducer: true,
    rejectTransactionMessage: false,
    channelExpiredTimeout: 120_000,
    ...given,
  };
  const clients = new Clients(options, clock, log);
  return { clients, clock, warn };
}

function client(clientId: string, caller = new FakeCaller()): Client & { caller: FakeCaller } {
  return { caller, clientId, language: "JAVA", version: 493 };
}

function sub(topic: string, subVersion = 1, subString = "*"): SubscriptionData {
  return { classFilterMode: false, codeSet: [], expressionType: "TAG", subString, subVersion, tagsSet: [], topic };
}

const notified = (c: { caller: FakeCaller }): unknown[] =>
  c.caller.told.filter((t) => t.code === RequestCode.NOTIFY_CONSUMER_IDS_CHANGED).map((t) => t.header.consumerGroup);

describe("Clients", () => {
  it("tells every member of a group at once when one joins, leaves or loses its connection", async () => {
    const { clients, clock } = make();
    const [a, b] = [client("a"), client("b")];
    clients.registerConsumer("g", a, PUSH, [sub("T")], true);
    await clock.advance(1_000);
    expect(notified(a)).toEqual(["g"]);
    clients.registerConsumer("g", b, PUSH, [sub("T")], true);
    await clock.settle();
    expect(notified(a)).toEqual(["g", "g"]);
    // The newcomer itself hears of it after its heartbeat's answer, when it may send the next one.
    expect(notified(b)).toEqual([]);
    await clock.advance(1_000);
    expect(notified(b)).toEqual(["g"]);
    clients.unregisterConsumer("g", b.caller, true);
    await clock.settle();
    expect(notified(a)).toEqual(["g", "g", "g"]);
    clients.registerConsumer("g", b, PUSH, [sub("T")], true);
    await clock.settle();
    b.caller.close();
    await clock.settle();
    expect(notified(a)).toHaveLength(5);
    expect(clients.consumerGroup("g")?.clientIds()).toEqual(["a"]);
  });

  it("tells nobody of a heartbeat that changes nothing, of broadcasting groups, or when told not to", async () => {
    const { clients, clock } = make();
    const [a, b, c] = [client("a"), client("b"), client("c")];
    clients.registerConsumer("g", a, PUSH, [sub("T")], true);
    await clock.advance(1_000);
    expect(clients.registerConsumer("g", a, PUSH, [sub("T", 2, "x")], true)).toBe(false);
    clients.registerConsumer("all", b, { ...PUSH, messageModel: "BROADCASTING" }, [sub("T")], true);
    clients.registerConsumer("quiet", c, PUSH, [sub("T")], false);
    await clock.advance(1_000);
    expect([notified(a).length, notified(b).length, notified(c).length]).toEqual([1, 0, 0]);
    const off = make(false);
    off.clients.registerConsumer("g", a, PUSH, [sub("T")], true);
    await off.clock.settle();
    expect(notified(a)).toHaveLength(1);
  });

  it("tells of changes every 15 s only without realTimeNotifyConsumerChange", async () => {
    const { clients, clock } = make(true, { realTimeNotifyConsumerChange: false });
    const [a, b] = [client("a"), client("b")];
    clients.registerConsumer("g", a, PUSH, [sub("T")], true);
    await clock.advance(10_000);
    clients.registerConsumer("g", b, PUSH, [sub("T")], true);
    expect([notified(a), notified(b)]).toEqual([[], []]);
    await clock.advance(6_000);
    expect([notified(a), notified(b)]).toEqual([["g"], ["g"]]);
  });

  it("notes no new producers with enableRegisterProducer=false while transactions are refused", () => {
    const quiet = { enableRegisterProducer: false, rejectTransactionMessage: true };
    const { clients } = make(true, quiet);
    clients.registerProducer("p", client("a"));
    expect(clients.producers("p")).toBeUndefined();
    const taken = make(true, { ...quiet, rejectTransactionMessage: false });
    taken.clients.registerProducer("p", client("a"));
    expect(taken.clients.producers("p")).toHaveLength(1);
  });

  it("sends one notification per turn, however many joined in it", async () => {
    const { clients, clock } = make();
    const many = Array.from({ length: 50 }, (_, i) => client(`c${i}`));
    for (const one of many) clients.registerConsumer("g", one, PUSH, [sub("T")], true);
    await clock.advance(1_000);
    expect(many.map((one) => notified(one).length)).toEqual(many.map(() => 1));
  });

  it("takes a heartbeat with very many topics again and again without stopping everybody", () => {
    const { clients } = make();
    const many = Array.from({ length: 60_000 }, (_, i) => sub(`topic-${i}`));
    const a = client("a");
    const began = performance.now();
    for (let i = 0; i < 3; i++) clients.registerConsumer("g", a, PUSH, many, true);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(clients.consumerGroup("g")?.subscriptions.size).toBe(60_000);
  });

  it("remembers no fingerprint of a group that has no member", () => {
    const { clients } = make();
    expect(clients.noteFingerprint("g", 1)).toBe(false);
    expect(clients.noteFingerprint("g", 2)).toBe(false);
    clients.registerConsumer("g", client("a"), PUSH, [sub("T")], true);
    expect(clients.noteFingerprint("g", 1)).toBe(false);
    expect(clients.noteFingerprint("g", 2)).toBe(true);
  });

  it("keeps the newest subscription by subVersion and drops topics that a heartbeat no longer names", () => {
    const { clients } = make();
    const a = client("a");
    clients.registerConsumer("g", a, PUSH, [sub("T", 5, "new"), sub("U")], true);
    clients.registerConsumer("g", a, PUSH, [sub("T", 4, "old"), sub("U")], true);
    expect(clients.subscription("g", "T")?.subString).toBe("new");
    expect(clients.registerConsumer("g", a, PUSH, [sub("T", 6, "newer")], true)).toBe(true);
    expect(clients.subscription("g", "T")?.subString).toBe("newer");
    expect(clients.subscription("g", "U")).toBeUndefined();
    expect(clients.groupsOn("T")).toEqual(["g"]);
    clients.registerConsumer("g", a, PUSH, undefined, true);
    expect(clients.subscription("g", "T")?.subString).toBe("newer");
  });

  it("removes consumers and producers whose heartbeat is 120 s overdue, and keeps those that are on time", async () => {
    const { clients, clock } = make();
    const [silent, alive, producer] = [client("s"), client("a"), client("p")];
    clients.start();
    clients.registerConsumer("g", silent, PUSH, [sub("T")], true);
    clients.registerConsumer("g", alive, PUSH, [sub("T")], true);
    clients.registerProducer("pg", producer);
    for (let i = 0; i < 13; i++) {
      await clock.advance(10_000);
      clients.registerConsumer("g", alive, PUSH, [sub("T")], true);
    }
    expect(clients.consumerGroup("g")?.clientIds()).toEqual(["a"]);
    expect(clients.producers("pg")).toBeUndefined();
    clients.stop();
    expect(clock.timers).toBe(0);
  });

  it("does not expire anybody because the wall clock jumped", async () => {
    const { clients, clock } = make();
    clients.registerConsumer("g", client("a"), PUSH, [sub("T")], true);
    clock.jump(86_400_000);
    clients.scan();
    expect(clients.consumerGroup("g")).toBeDefined();
  });

  it("forgets a group with its last consumer", () => {
    const { clients } = make();
    const a = client("a");
    clients.registerConsumer("g", a, PUSH, [sub("T")], true);
    a.caller.close();
    expect(clients.consumerGroup("g")).toBeUndefined();
  });

  it("takes no heartbeat of a connection that is closed already", () => {
    const { clients } = make();
    const a = client("a");
    a.caller.close();
    clients.registerConsumer("g", a, PUSH, [sub("T")], true);
    clients.registerProducer("pg", a);
    expect(clients.consumerGroup("g")).toBeUndefined();
    expect(clients.producers("pg")).toBeUndefined();
  });

  it("warns once when two open connections of a group share a client id", () => {
    const { clients, warn } = make();
    const old = client("same");
    clients.registerConsumer("g", old, PUSH, [sub("T")], true);
    clients.registerConsumer("g", client("same"), PUSH, [sub("T")], true);
    clients.registerConsumer("g", client("same"), PUSH, [sub("T")], true);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toMatchObject({ group: "g", clientId: "same" });
    expect(clients.consumerGroup("g")?.clientIds()).toEqual(["same", "same", "same"]);
  });

  it("does not warn when a client comes back after its connection broke", () => {
    const { clients, warn } = make();
    const old = client("same");
    clients.registerConsumer("g", old, PUSH, [sub("T")], true);
    old.caller.close();
    clients.registerConsumer("g", client("same"), PUSH, [sub("T")], true);
    expect(warn).not.toHaveBeenCalled();
  });

  it("notices that another client of a group sent other subscriptions (heartbeat V2)", () => {
    const { clients } = make();
    clients.registerConsumer("g", client("a"), PUSH, [sub("T")], true);
    expect(clients.noteFingerprint("g", 1)).toBe(false);
    expect(clients.noteFingerprint("g", 1)).toBe(false);
    expect(clients.noteFingerprint("g", 2)).toBe(true);
  });
});
