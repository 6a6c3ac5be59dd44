import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../base/clock.ts";
import { startBroker, startCluster, startNameServer } from "../index.ts";
import { decodeTopicRouteData, type TopicRouteData } from "../protocol/bodies/topicRoute.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { RawClient, type Received } from "../testing/rawClient.ts";
import { recordsOf } from "../testing/wireBroker.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  vi.restoreAllMocks();
});

/** Closes what was started, also when a test fails before it does. */
function closing<R extends { close(): Promise<void> }>(running: R): R {
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= running.close());
  cleanups.push(close);
  return { ...running, close };
}

async function client(address: string): Promise<RawClient> {
  const one = await RawClient.connect(address);
  cleanups.push(() => one.close());
  return one;
}

function directory(): string {
  const dir = mkdtempSync(join(tmpdir(), "skylark-test-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const temporaryStores = () => readdirSync(tmpdir()).filter((name) => /^skylark-[^-]{6}$/.test(name));

const send = (to: RawClient, topic: string, body: string): Promise<Received> =>
  to.ask(RequestCode.SEND_MESSAGE_V2, {
    fields: { a: "p", b: topic, c: "TBW102", d: 1, e: 0, f: 0, g: 1, h: 0, i: "UNIQ_KEY\u0001u\u0002" },
    body,
  });

const pull = (from: RawClient, topic: string): Promise<Received> =>
  from.ask(RequestCode.PULL_MESSAGE, {
    fields: {
      consumerGroup: "g",
      topic,
      queueId: 0,
      queueOffset: 0,
      maxMsgNums: 32,
      sysFlag: 4,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: "*",
      subVersion: 0,
    },
  });

async function askedRoute(namesrvAddr: string, topic: string): Promise<TopicRouteData | undefined> {
  const reply = await (await client(namesrvAddr)).ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, { fields: { topic } });
  return reply.code === 0 ? decodeTopicRouteData(reply.body) : undefined;
}

/** The broker's address as the NameServer tells it to who asks at `namesrvAddr`. */
async function routeOf(namesrvAddr: string, topic: string): Promise<string | undefined> {
  return (await askedRoute(namesrvAddr, topic))?.brokerDatas[0].brokerAddrs.get(0);
}

/** How many queues a topic has for producers, and what may be done with them, as the NameServer tells. */
async function queuesOf(namesrvAddr: string, topic: string): Promise<string | undefined> {
  const queues = (await askedRoute(namesrvAddr, topic))?.queueDatas[0];
  return queues && `${queues.writeQueueNums} ${queues.perm === 6 ? "rw" : "r"}`;
}

const change = (to: RawClient, body: string) => to.ask(RequestCode.UPDATE_BROKER_CONFIG, { body });

function refused(address: string): Promise<boolean> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const probe = connect(Number(port), host);
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", () => resolve(true));
  });
}

const portOf = (address: string) => Number(address.split(":")[1]);

describe("an advertised address changed at run time", () => {
  it.each([
    ["together", ["brokerIP1=localhost\nlistenPort=32768\nbrokerPermission=6\n"]],
    ["the address last", ["listenPort=32768", "brokerPermission=6", "brokerIP1=localhost"]],
    ["the port last", ["brokerPermission=6", "brokerIP1=localhost", "listenPort=32768"]],
  ])("is registered before the answer, and the broker listens where it did: %s", async (_, changes) => {
    const names = closing(await startNameServer());
    const broker = closing(await startBroker({ namesrvAddr: names.address }));
    expect(await routeOf(names.address, "TBW102")).toBe(broker.address);
    const operator = await client(broker.address);
    for (const body of changes) expect(await change(operator, body)).toMatchObject({ code: 0, remark: undefined });
    expect(await routeOf(names.address, "TBW102")).toBe("localhost:32768");
    const sent = await send(await client(broker.address), "Moved", "1");
    // The id names the address from which the message can be asked for.
    expect(sent.fields.msgId.slice(0, 16)).toBe(`7F000001${(32_768).toString(16).padStart(8, "0").toUpperCase()}`);
    const info = await (await client(names.address)).ask(RequestCode.GET_BROKER_CLUSTER_INFO);
    expect(String(info.body)).not.toContain(broker.address);
    await broker.close();
    expect(await routeOf(names.address, "TBW102")).toBeUndefined();
  });

  it("wins over the address by which the client came", async () => {
    const cluster = closing(await startCluster());
    const operator = await client(cluster.brokerAddr);
    await change(operator, "listenPort=32768");
    expect(await routeOf(cluster.namesrvAddr, "TBW102")).toBe("127.0.0.1:32768");
    await change(operator, "brokerIP1=mq.test");
    expect(await routeOf(cluster.namesrvAddr, "TBW102")).toBe("mq.test:32768");
  });
});

describe("what an operator changes", () => {
  it("is told by every NameServer when it is answered", async () => {
    const names = [closing(await startNameServer()), closing(await startNameServer())];
    const namesrvAddr = names.map(({ address }) => address).join(";");
    const broker = closing(await startBroker({ namesrvAddr }));
    const operator = await client(broker.address);
    const told = (topic: string) => Promise.all(names.map(({ address }) => queuesOf(address, topic)));
    const create = (perm: number) => {
      const queues = {
        readQueueNums: 2,
        writeQueueNums: 3,
        topicFilterType: "SINGLE_TAG",
        topicSysFlag: 0,
        order: false,
      };
      const fields = { topic: "Everywhere", defaultTopic: "TBW102", perm, ...queues };
      return operator.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, { fields });
    };
    const list = JSON.stringify({ topicConfigList: [{ topicName: "Listed", writeQueueNums: 3, perm: 6 }] });

    expect(await told("Everywhere")).toEqual([undefined, undefined]);
    expect((await create(6)).code).toBe(0);
    expect(await told("Everywhere")).toEqual(["3 rw", "3 rw"]);
    expect((await create(4)).code).toBe(0);
    expect(await told("Everywhere")).toEqual(["3 r", "3 r"]);
    expect((await operator.ask(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, { body: list })).code).toBe(0);
    expect(await told("Listed")).toEqual(["3 rw", "3 rw"]);
    expect((await change(operator, "brokerPermission=4")).code).toBe(0);
    expect(await told("Listed")).toEqual(["3 r", "3 r"]);
  });
});

describe("an embedded cluster", () => {
  it("is up at once, takes and gives messages, and its NameServer knows the way", async () => {
    const began = performance.now();
    const cluster = closing(await startCluster());
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(cluster.namesrvAddr).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(cluster.brokerAddr).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(await routeOf(cluster.namesrvAddr, "TBW102")).toBe(cluster.brokerAddr);
    const one = await client(cluster.brokerAddr);
    const sent = await send(one, "Embedded", "hello");
    expect(sent).toMatchObject({ code: 0, fields: { queueId: "0", queueOffset: "0" } });
    const pulled = await pull(one, "Embedded");
    expect(recordsOf(pulled.body).map(({ text }) => text)).toEqual(["hello"]);
    // The new topic is registered at once.
    expect(await routeOf(cluster.namesrvAddr, "Embedded")).toBe(cluster.brokerAddr);
    // The message id names an address that the client can dial.
    const port = portOf(cluster.brokerAddr).toString(16).toUpperCase().padStart(8, "0");
    expect(sent.fields.msgId.slice(0, 16)).toBe(`7F000001${port}`);
  });

  it("answers on the fast port, too, but not pulls", async () => {
    const cluster = closing(await startCluster());
    const fast = await client(`127.0.0.1:${portOf(cluster.brokerAddr) - 2}`);
    expect((await send(fast, "Fast", "f")).code).toBe(0);
    expect(await pull(fast, "Fast")).toMatchObject({ code: 3 });
  });

  it("leaves nothing behind when it closes: no port, no connection, no timer, no file", async () => {
    const before = {
      stores: temporaryStores(),
      resources: process.getActiveResourcesInfo().filter((r) => r.startsWith("TCP")),
    };
    const periods = vi.spyOn(systemClock, "every");
    const waits = vi.spyOn(systemClock, "after");
    const cleared = vi.spyOn(systemClock, "clear");
    const cluster = closing(await startCluster());
    const during = temporaryStores();
    expect(during.length).toBe(before.stores.length + 1);
    const one = await client(cluster.brokerAddr);
    await send(one, "T", "x");
    await cluster.close();
    await one.closed;
    expect(await refused(cluster.namesrvAddr)).toBe(true);
    expect(await refused(cluster.brokerAddr)).toBe(true);
    expect(await refused(`127.0.0.1:${portOf(cluster.brokerAddr) - 2}`)).toBe(true);
    expect(temporaryStores()).toEqual(before.stores);
    const stopped = new Set(cleared.mock.calls.map(([timer]) => timer));
    const left = periods.mock.results.filter(({ value }) => !stopped.has(value));
    expect(periods.mock.results.length).toBeGreaterThan(5);
    expect(left.map((_, i) => periods.mock.calls[i])).toEqual([]);
    const pending = waits.mock.results
      .map(({ value }) => value as NodeJS.Timeout & { _destroyed: boolean })
      .filter((timer) => !stopped.has(timer) && !timer._destroyed);
    expect(pending).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(process.getActiveResourcesInfo().filter((r) => r.startsWith("TCP")).length).toBeLessThanOrEqual(
      before.resources.length,
    );
  });

  it("may be one of two in a process, neither knowing the other", async () => {
    const [a, b] = await Promise.all([startCluster(), startCluster()]).then((both) => both.map(closing));
    expect(new Set([a.namesrvAddr, a.brokerAddr, b.namesrvAddr, b.brokerAddr]).size).toBe(4);
    await send(await client(a.brokerAddr), "OnlyInA", "x");
    expect(await routeOf(a.namesrvAddr, "OnlyInA")).toBe(a.brokerAddr);
    expect(await routeOf(b.namesrvAddr, "OnlyInA")).toBeUndefined();
    await a.close();
    expect((await send(await client(b.brokerAddr), "T", "still here")).code).toBe(0);
  });

  it("keeps messages, topics and offsets of a store that it was given", async () => {
    const store = directory();
    const first = closing(await startCluster({ store }));
    const one = await client(first.brokerAddr);
    await send(one, "Kept", "before");
    await pull(one, "Kept");
    const committed = await one.ask(RequestCode.UPDATE_CONSUMER_OFFSET, {
      fields: { consumerGroup: "g", topic: "Kept", queueId: 0, commitOffset: 1 },
    });
    expect(committed.code).toBe(0);
    await first.close();
    expect(existsSync(join(store, "abort"))).toBe(false);
    expect(JSON.parse(readFileSync(join(store, "config", "topics.json"), "utf8")).topicConfigTable).toHaveProperty(
      "Kept",
    );
    const second = closing(await startCluster({ store }));
    expect(await routeOf(second.namesrvAddr, "Kept")).toBe(second.brokerAddr);
    const two = await client(second.brokerAddr);
    expect(await send(two, "Kept", "after")).toMatchObject({ code: 0, fields: { queueOffset: "1" } });
    expect(recordsOf((await pull(two, "Kept")).body).map(({ text }) => text)).toEqual(["before", "after"]);
    const offset = await two.ask(RequestCode.QUERY_CONSUMER_OFFSET, {
      fields: { consumerGroup: "g", topic: "Kept", queueId: 0 },
    });
    expect(offset).toMatchObject({ code: 0, fields: { offset: "1" } });
  });

  it("does not share a store, and says whose it is", async () => {
    const store = directory();
    closing(await startCluster({ store }));
    await expect(startCluster({ store })).rejects.toThrow(/lock|another/i);
    expect(existsSync(store)).toBe(true);
  });

  it("has a new topic on disk before it acknowledges the topic's first message", async () => {
    const store = directory();
    const cluster = closing(await startCluster({ store }));
    const one = await client(cluster.brokerAddr);
    const onDisk = () => readFileSync(join(store, "config", "topics.json"), "utf8");
    for (const topic of ["First", "Second", "Third"]) {
      expect(await send(one, topic, "x")).toMatchObject({ code: 0 });
      expect(onDisk()).toContain(`"${topic}"`);
    }
    const fields = { a: "p", b: "Delayed", c: "TBW102", d: 1, e: 0, f: 0, g: 1, h: 0, i: "DELAY\u00011\u0002" };
    expect(await one.ask(RequestCode.SEND_MESSAGE_V2, { fields, body: "x" })).toMatchObject({ code: 0 });
    expect(onDisk()).toContain('"Delayed"');
  });

  it("answers a unique key of any characters in readable JSON", async () => {
    const cluster = closing(await startCluster());
    const one = await client(cluster.brokerAddr);
    for (const key of ['a"b', "back\\slash", "line\nbreak", "schlüssel"]) {
      const fields = { a: "p", b: "Keys", c: "TBW102", d: 1, e: 0, f: 0, g: 1, h: 0, i: `UNIQ_KEY\u0001${key}\u0002` };
      for (const topic of ["First", "Later", "Later"]) {
        const reply = await one.ask(RequestCode.SEND_MESSAGE_V2, { fields: { ...fields, b: topic }, body: "x" });
        expect(reply).toMatchObject({ code: 0, fields: { transactionId: key } });
      }
    }
  });

  it("that could not open its store lets go of it", async () => {
    const store = directory();
    await closing(await startCluster({ store, config: { mappedFileSizeCommitLog: "65536" } })).close();
    mkdirSync(join(store, "commitlog"), { recursive: true });
    const log = join(store, "commitlog", "0".repeat(20));
    writeFileSync(log, "");
    truncateSync(log, 131072);
    const config = { mappedFileSizeCommitLog: "65536" };
    await expect(startCluster({ store, config })).rejects.toThrow("the configured file size is 65536");
    truncateSync(log, 65536);
    const again = closing(await startCluster({ store, config }));
    expect((await send(await client(again.brokerAddr), "Again", "x")).code).toBe(0);
  });

  it("closes its store although a file of its state cannot be written, and says which", async () => {
    const store = directory();
    const cluster = await startCluster({ store });
    const one = await client(cluster.brokerAddr);
    await send(one, "T", "x");
    await pull(one, "T");
    const fields = { consumerGroup: "g", topic: "T", queueId: 0, commitOffset: 1 };
    expect((await one.ask(RequestCode.UPDATE_CONSUMER_OFFSET, { fields })).code).toBe(0);
    const inTheWay = join(store, "config", "consumerOffset.json.tmp");
    rmSync(inTheWay, { force: true });
    mkdirSync(inTheWay);
    await expect(cluster.close()).rejects.toThrow(/consumerOffset/);
    expect(existsSync(join(store, "abort"))).toBe(false);
    expect(await refused(cluster.namesrvAddr)).toBe(true);
    rmSync(inTheWay, { recursive: true });
    const second = closing(await startCluster({ store }));
    expect((await send(await client(second.brokerAddr), "T", "y")).code).toBe(0);
  });

  it("that cannot start leaves nothing behind either", async () => {
    const stores = temporaryStores();
    const taken = closing(await startNameServer());
    await expect(startCluster({ namesrvPort: portOf(taken.address) })).rejects.toThrow(
      `cannot listen on ${taken.address}: `,
    );
    await expect(startCluster({ brokerPort: portOf(taken.address) })).rejects.toThrow(
      `cannot listen on ${taken.address}: `,
    );
    await expect(startCluster({ config: { flushDiskType: "SOMETIMES" } })).rejects.toThrow("flushDiskType");
    expect(temporaryStores()).toEqual(stores);
  });

  it.skipIf(!existsSync("/proc/self/fd"))("that cannot start keeps no file open, its timers' neither", async () => {
    const store = directory();
    const before = closing(await startCluster({ store }));
    const properties = "UNIQ_KEY\u0001u\u0002TIMER_DELAY_SEC\u00013600\u0002";
    const later = { a: "p", b: "Later", c: "TBW102", d: 1, e: 0, f: 0, g: 1, h: 0, i: properties };
    const sent = await (await client(before.brokerAddr)).ask(RequestCode.SEND_MESSAGE_V2, { fields: later, body: "1" });
    expect(sent.code).toBe(0);
    await before.close();
    const first = closing(await startCluster());
    await expect(startCluster({ store, brokerPort: portOf(first.brokerAddr) })).rejects.toThrow("EADDRINUSE");
    const open = readdirSync("/proc/self/fd").map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return "";
      }
    });
    expect(open.filter((file) => file.startsWith(store))).toEqual([]);
  });
});

describe("the address that clients are told", () => {
  it("is the one by which each reached the NameServer", async () => {
    const cluster = closing(await startCluster({ bind: "0.0.0.0" }));
    const [namesrvPort, brokerPort] = [portOf(cluster.namesrvAddr), portOf(cluster.brokerAddr)];
    for (const host of ["127.0.0.1", "127.0.0.2"]) {
      const told = await routeOf(`${host}:${namesrvPort}`, "TBW102");
      expect(told).toBe(`${host}:${brokerPort}`);
      const one = await client(told as string);
      expect((await send(one, `From-${host.replaceAll(".", "-")}`, "x")).code).toBe(0);
    }
    const info = await (await client(`127.0.0.2:${namesrvPort}`)).ask(RequestCode.GET_BROKER_CLUSTER_INFO);
    expect(info.body.toString()).toContain(`"127.0.0.2:${brokerPort}"`);
  });

  it("is brokerIP1 where that is given", async () => {
    const cluster = closing(await startCluster({ bind: "0.0.0.0", config: { brokerIP1: "127.0.0.3" } }));
    expect(cluster.brokerAddr).toMatch(/^127\.0\.0\.3:\d+$/);
    for (const host of ["127.0.0.1", "127.0.0.2"]) {
      expect(await routeOf(`${host}:${portOf(cluster.namesrvAddr)}`, "TBW102")).toBe(cluster.brokerAddr);
    }
  });
});

describe("a NameServer and a broker of their own", () => {
  it("find each other, and part when the broker stops", async () => {
    const namesrv = closing(await startNameServer());
    const broker = closing(await startBroker({ namesrvAddr: namesrv.address }));
    expect(await routeOf(namesrv.address, "TBW102")).toBe(broker.address);
    await broker.close();
    expect(await routeOf(namesrv.address, "TBW102")).toBeUndefined();
  });

  it("starts without its NameServer and registers once that is there", async () => {
    const port = 28_900 + (process.pid % 50);
    const broker = closing(
      await startBroker({ namesrvAddr: `127.0.0.1:${port}`, config: { registerNameServerPeriod: "10000" } }),
    );
    expect((await send(await client(broker.address), "Alone", "x")).code).toBe(0);
    closing(await startNameServer({ port }));
    // A new topic registers at once, without waiting for the period.
    await send(await client(broker.address), "Later", "x");
    await vi.waitFor(async () => expect(await routeOf(`127.0.0.1:${port}`, "Later")).toBe(broker.address), 3_000);
  });
});
