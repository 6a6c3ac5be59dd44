import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { newTopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import { memberGroupOf, routeInZone, routeOf } from "./routeAnswers.ts";
import { BROKER_SILENT_MS, type Registration, RouteTable } from "./routeTable.ts";

const asIs = (addr: string): string => addr;

function registration(fields: Partial<Registration> & { topicNames?: string[]; counter?: number } = {}): Registration {
  const { topicNames = ["T1", "T2"], counter = 1, ...rest } = fields;
  return {
    cluster: "c",
    name: "b",
    id: 0,
    addr: "h:1",
    haServerAddr: "h:2",
    zoneName: undefined,
    timeoutMs: undefined,
    enableActingMaster: undefined,
    topics: newTopicConfigWrapper({
      dataVersion: { counter, stateVersion: 0, timestamp: 1 },
      topicConfigTable: new Map(topicNames.map((name) => [name, newTopicConfig(name)])),
    }),
    filterServers: [],
    connection: {},
    ...rest,
  };
}

describe("registration", () => {
  it("a refused one leaves no trace", () => {
    const table = new RouteTable();
    expect(table.register(registration({ topicNames: ["T1"] }), 0, false).kind).toBe("refused");
    expect(table.brokers.size + table.clusters.size + table.live.size + table.topics.size).toBe(0);
  });

  it("the same address has one id: a promoted slave leaves its old one", () => {
    const table = new RouteTable();
    table.register(registration({ id: 1, addr: "h:9" }), 0, false);
    table.register(registration({ id: 0, addr: "h:9" }), 0, false);
    expect(memberGroupOf(table, "c", "b").brokerAddrs).toEqual(new Map([[0, "h:9"]]));
  });

  it("broker ids are listed in ascending order, whoever came first", () => {
    const table = new RouteTable();
    for (const id of [2, 0, 1]) table.register(registration({ id, addr: `h:${id}` }), 0, false);
    expect([...memberGroupOf(table, "c", "b").brokerAddrs.keys()]).toEqual([0, 1, 2]);
  });

  it("a broker that moves to another address leaves a stale sign of life, which the scan clears", () => {
    const table = new RouteTable();
    table.register(registration({ addr: "old:1" }), 0, false);
    table.register(registration({ addr: "new:1" }), 100, false);
    expect(table.live.size).toBe(2);
    table.unregister(table.silentAt(BROKER_SILENT_MS + 1));
    expect([...table.live.values()].map((live) => live.addr)).toEqual(["new:1"]);
    expect(routeOf(table, "T1", false, asIs)?.brokerDatas[0].brokerAddrs).toEqual(new Map([[0, "new:1"]]));
  });

  it("answers are copies: changing one does not change the table", () => {
    const table = new RouteTable();
    table.register(registration(), 0, false);
    const route = routeOf(table, "T1", false, asIs);
    route?.brokerDatas[0].brokerAddrs.clear();
    if (route) route.queueDatas[0].perm = 0;
    expect(routeOf(table, "T1", false, asIs)?.brokerDatas[0].brokerAddrs.size).toBe(1);
    expect(routeOf(table, "T1", false, asIs)?.queueDatas[0].perm).toBe(6);
  });
});

it("the zone of a client also keeps brokers that lost their master", () => {
  const table = new RouteTable();
  table.register(registration({ name: "near", addr: "n:1", zoneName: "Z" }), 0, false);
  table.register(registration({ name: "far", addr: "f:1", zoneName: "Y", filterServers: ["f:9"] }), 0, false);
  table.register(registration({ name: "orphan", addr: "o:1", id: 0, zoneName: "Y" }), 0, false);
  table.register(registration({ name: "orphan", addr: "o:2", id: 1, zoneName: "Y" }), 0, false);
  table.unregister([{ cluster: "c", name: "orphan", addr: "o:1", id: 0 }]);
  const route = routeOf(table, "T1", false, asIs);
  expect(route?.filterServerTable).toEqual(new Map([["f:1", ["f:9"]]]));
  const zone = route && routeInZone(route, "z");
  expect(zone?.brokerDatas.map((data) => data.brokerName)).toEqual(["near", "orphan"]);
  expect(zone?.queueDatas.map((queues) => queues.brokerName)).toEqual(["near", "orphan"]);
  expect(zone?.filterServerTable.size).toBe(0);
});

describe("any sequence of events agrees with a model that only remembers who lives", () => {
  const CLUSTERS = ["c0", "c1"];
  const who = fc.record({ pair: fc.nat(3), id: fc.nat(2) });
  const topicNames = fc.uniqueArray(fc.constantFrom("T0", "T1", "T2", "T3"), { minLength: 2 });
  const event = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("register" as const), who, topicNames }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("unregister" as const), who }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("touch" as const), who }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("close" as const), who }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(BROKER_SILENT_MS) }) },
  );

  it("register, unregister, touch, close, time-out", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const table = new RouteTable();
        /** Address to when it was last heard. */
        const model = new Map<string, { pair: number; id: number; heardMs: number }>();
        /** Broker name to the topics its masters named since it has existed. */
        const served = new Map<string, Set<string>>();
        const connections = new Map<string, object>();
        let now = 0;
        let counter = 0;
        const addrOf = (pair: number, id: number): string => `h${pair}:${id}`;
        const forget = (pair: number): void => {
          if (![...model.values()].some((broker) => broker.pair === pair)) served.delete(`b${pair}`);
        };

        for (const e of events) {
          if (e.kind === "wait") {
            now += e.ms;
            table.unregister(table.silentAt(now));
            for (const [addr, broker] of model) if (broker.heardMs + BROKER_SILENT_MS < now) model.delete(addr);
            for (const pair of [0, 1, 2, 3]) forget(pair);
          } else {
            const { pair, id } = e.who;
            const identity = { cluster: CLUSTERS[pair % 2], name: `b${pair}`, id, addr: addrOf(pair, id) };
            const known = model.get(identity.addr);
            if (e.kind === "register") {
              const connection = {};
              connections.set(identity.addr, connection);
              counter++;
              table.register(registration({ ...identity, connection, counter, topicNames: e.topicNames }), now, false);
              model.set(identity.addr, { pair, id, heardMs: now });
              // Only masters bring topics: these slaves know no acting master.
              const topics = served.get(identity.name) ?? new Set();
              served.set(identity.name, topics);
              if (id === 0) for (const topic of e.topicNames) topics.add(topic);
            } else if (e.kind === "unregister") {
              table.unregister([identity]);
              model.delete(identity.addr);
              forget(pair);
            } else if (e.kind === "close") {
              table.unregister(table.registeredBy(connections.get(identity.addr) ?? {}));
              model.delete(identity.addr);
              forget(pair);
            } else {
              table.touch(identity, now);
              if (known) known.heardMs = now;
            }
          }

          expect(new Set([...table.live.values()].map((live) => live.addr))).toEqual(new Set(model.keys()));
          const pairs = new Set([...model.values()].map((broker) => broker.pair));
          expect(new Set(table.brokers.keys())).toEqual(new Set([...pairs].map((pair) => `b${pair}`)));
          for (const pair of pairs) {
            const members = [...model.values()].filter((broker) => broker.pair === pair);
            expect(memberGroupOf(table, "", `b${pair}`).brokerAddrs).toEqual(
              new Map(members.sort((a, b) => a.id - b.id).map(({ id }) => [id, addrOf(pair, id)])),
            );
          }
          const clusters = [...table.clusters].flatMap(([cluster, names]) => [...names].map((name) => [cluster, name]));
          expect(new Set(clusters.map(String))).toEqual(
            new Set([...pairs].map((pair) => String([CLUSTERS[pair % 2], `b${pair}`]))),
          );
          expect([...table.clusters.values()].every((names) => names.size > 0)).toBe(true);
          for (const topic of ["T0", "T1", "T2", "T3"]) {
            const names = [...served].filter(([, topics]) => topics.has(topic)).map(([name]) => name);
            const route = routeOf(table, topic, false, asIs);
            expect(new Set(route?.brokerDatas.map((data) => data.brokerName))).toEqual(new Set(names));
            expect(new Set(route?.queueDatas.map((queues) => queues.brokerName))).toEqual(new Set(names));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("unregistering many at once is the same as one after another", () => {
    const members = fc.uniqueArray(who, { selector: ({ pair, id }) => `${pair}:${id}` });
    fc.assert(
      fc.property(members, fc.shuffledSubarray([0, 1, 2, 3, 4, 5]), (brokers, picks) => {
        const [together, single] = [new RouteTable(), new RouteTable()];
        const identities = brokers.map(({ pair, id }) => ({
          cluster: "c",
          name: `b${pair}`,
          id,
          addr: `h${pair}:${id}`,
        }));
        for (const table of [together, single]) {
          for (const identity of identities) {
            table.register(registration({ ...identity, enableActingMaster: true, connection: table }), 0, false);
          }
        }
        const leaving = picks.filter((i) => i < identities.length).map((i) => identities[i]);
        together.unregister(leaving);
        for (const identity of leaving) single.unregister([identity]);
        expect(together.topics).toEqual(single.topics);
        expect(together.brokers).toEqual(single.brokers);
        expect(together.clusters).toEqual(single.clusters);
        expect([...together.live.keys()]).toEqual([...single.live.keys()]);
      }),
    );
  });
});
