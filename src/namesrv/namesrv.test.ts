import { Buffer } from "node:buffer";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Clock } from "../base/clock.ts";
import { silentLogger } from "../base/log.ts";
import { loadNamesrvConfig, type NamesrvConfig } from "../config/index.ts";
import { encodeRegisterBrokerBody } from "../protocol/bodies/registerBrokerBody.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { newTopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import { decodeTopicRouteData } from "../protocol/bodies/topicRoute.ts";
import type { Caller, Reply, Row } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { parseJavaJson, writeJavaJson } from "../protocol/javaJson.ts";
// A conversation with Apache's NameServer 5.5.0 (orderMessageEnable=true, else defaults): requests, and its answers.
import apacheConversation from "./apacheAnswers.json" with { type: "json" };
import type { TextFile } from "./kvConfig.ts";
import { createNamesrv, type Namesrv, type NamesrvParts } from "./namesrv.ts";

interface Step {
  name: string;
  code?: number;
  ext?: Record<string, string>;
  body?: string;
  base64?: boolean;
  /** MQVersion of the request's header; default 5.5.0. */
  version?: number;
  /** Number of the connection. */
  conn?: number;
  /** Close this connection instead of a request. */
  close?: number;
  /** Several brokers or topics: Apache's order is that of Java's hash tables. */
  unordered?: boolean;
  answer?: { code: number; remark?: string; ext?: Record<string, string>; body: string };
}

/** A clock that only moves when told. */
class TestClock implements Clock {
  #now = 1_700_000_000_000;
  #timers: { at: number; fn: () => void }[] = [];
  #turn: (() => void)[] = [];
  #jumped = 0;
  now = (): number => this.#now + this.#jumped;
  monotonicMs = (): number => this.#now;
  after = (delayMs: number, fn: () => void): object => {
    const timer = { at: this.#now + delayMs, fn };
    this.#timers.push(timer);
    return timer;
  };
  every = (): never => {
    throw new Error("not used here");
  };
  clear = (timer: object | undefined): void => {
    this.#timers = this.#timers.filter((other) => other !== timer);
  };
  endOfTurn = (fn: () => void): void => {
    this.#turn.push(fn);
  };
  /** Moves the wall clock alone. */
  jump(ms: number): void {
    this.#jumped += ms;
  }
  finishTurn(): void {
    for (const fn of this.#turn.splice(0)) fn();
  }
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.clear(due);
      this.#now = due.at;
      due.fn();
      this.finishTurn();
    }
    this.#now = end;
  }
}

class TestCaller implements Caller {
  readonly id = 1;
  readonly address = "192.0.2.1:5";
  readonly host = Buffer.alloc(8);
  readonly reachedBy: string;
  open = true;
  #listeners: (() => void)[] = [];
  constructor(reachedBy = "127.0.0.1") {
    this.reachedBy = reachedBy;
  }
  get listeners(): number {
    return this.#listeners.length;
  }
  tell = (): boolean => false;
  ask = (): Promise<never> => Promise.reject(new Error("not used here"));
  onClose(fn: () => void): void {
    if (this.open) this.#listeners.push(fn);
    else fn();
  }
  close(): void {
    this.open = false;
    for (const fn of this.#listeners.splice(0)) fn();
  }
}

class MemoryFile implements TextFile {
  text: string | undefined;
  failure: Error | undefined;
  load<T>(parse: (text: string) => T, onDamage?: (file: string, reason: string) => void): T | undefined {
    if (this.text === undefined) return undefined;
    try {
      return parse(this.text);
    } catch (error) {
      onDamage?.("memory", (error as Error).message);
      return undefined;
    }
  }
  async write(content: () => string): Promise<void> {
    if (this.failure) throw this.failure;
    this.text = content();
  }
}

let clock: TestClock;
let config: NamesrvConfig;
let kvFile: MemoryFile;
let namesrv: Namesrv;
let rows: Map<number, Row>;

function start(options: Record<string, string> = {}, parts: Partial<NamesrvParts> = {}): void {
  config = loadNamesrvConfig(new Map(Object.entries(options))).config;
  namesrv = createNamesrv({ clock, log: silentLogger(), config, kvFile, ...parts });
  namesrv.start();
  rows = new Map(namesrv.rows.map((row) => [row.code, row]));
}

async function call(
  code: number,
  ext: Record<string, string | number | boolean> = {},
  body: Buffer | string = "",
  { caller = new TestCaller(), version = MQVersion.V5_5_0 as number }: { caller?: Caller; version?: number } = {},
): Promise<Reply> {
  const row = rows.get(code);
  if (row?.handle === undefined) throw new Error(`no row for ${code}`);
  const fields: Record<string, string | number | boolean> = {};
  for (const field of row.header?.fields ?? []) {
    const value = ext[field.name];
    if (value === undefined) continue;
    fields[field.name] =
      field.type === "string" ? String(value) : field.type === "boolean" ? String(value) === "true" : Number(value);
  }
  const field = (name: string): string | undefined => (name in ext ? String(ext[name]) : undefined);
  const bytes = Buffer.from(body as string);
  const shared = { code, caller, version, language: "JAVA", oneway: false, field };
  const reply = await row.handle({ ...shared, header: fields, body: bytes });
  clock.finishTurn();
  if (reply === undefined) throw new Error("no reply");
  return reply;
}

function broker(id: number, name = "b", port = 1000 + id): Record<string, string | number> {
  const brokerAddr = `10.0.0.1:${port}`;
  return { brokerName: name, brokerId: id, brokerAddr, clusterName: "c", haServerAddr: `10.0.0.1:${port + 1}` };
}

function registration(topics: string[] = ["T1", "T2"], counter = 1): Buffer {
  const topicConfigSerializeWrapper = newTopicConfigWrapper({
    dataVersion: { counter, stateVersion: 0, timestamp: 1 },
    topicConfigTable: new Map(topics.map((topic) => [topic, newTopicConfig(topic)])),
  });
  return encodeRegisterBrokerBody({ filterServerList: [], topicConfigSerializeWrapper }, false);
}

async function addressesOf(topic: string, caller?: Caller): Promise<Map<number, string> | undefined> {
  const reply = await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic }, "", caller ? { caller } : {});
  return reply.code === ResponseCode.SUCCESS
    ? decodeTopicRouteData(reply.body as string).brokerDatas[0].brokerAddrs
    : undefined;
}

beforeEach(() => {
  clock = new TestClock();
  kvFile = new MemoryFile();
  start();
});

describe("a conversation with Apache, answer by answer", () => {
  /** Where we differ on purpose. */
  const OURS: Record<string, string> = {
    "a single topic before the first full registration is refused":
      "register broker failed: broker x[0] at 10.0.0.1:9000 sent a single topic before its first full registration",
    "compressed registration with its CRC":
      "register broker failed: broker bz[0] at 10.0.0.1:3000 sent a single topic before its first full registration",
  };

  it("gives the same codes, remarks, fields and bytes", async () => {
    start({ orderMessageEnable: "true" });
    const callers = [new TestCaller(), new TestCaller()];
    for (const step of apacheConversation as Step[]) {
      if (step.close !== undefined) {
        callers[step.close].close();
        clock.finishTurn();
        continue;
      }
      const body = step.base64 ? Buffer.from(step.body ?? "", "base64") : (step.body ?? "");
      const reply = await call(step.code ?? 0, step.ext, body, {
        caller: callers[step.conn ?? 0],
        version: step.version ?? MQVersion.V5_5_0,
      });
      const ours = {
        code: reply.code,
        remark: reply.remark,
        ext: Object.fromEntries(
          Object.entries(reply.header ?? {}).flatMap(([k, v]) => (v === undefined ? [] : [[k, String(v)]])),
        ),
        body: String(reply.body ?? ""),
      };
      const apache = { remark: undefined, ...step.answer, ext: step.answer?.ext ?? {} };
      // GET_BROKER_MEMBER_GROUP forgets to clear Apache's default remark.
      if (apache.remark === "not set any response code") apache.remark = undefined;
      if (OURS[step.name]) apache.remark = OURS[step.name];
      if (step.unordered) {
        ours.body = sorted(ours.body);
        apache.body = sorted(apache.body ?? "");
      }
      if (step.name === "after refusals: cluster info") {
        // Apache keeps the names of refused brokers, without addresses.
        expect(apache.body).toContain('"x":{"brokerAddrs":{}');
        expect(ours.body).not.toContain('"x"');
        continue;
      }
      expect({ step: step.name, ...ours }).toEqual({ step: step.name, ...apache });
    }
    expect(apacheConversation.length).toBeGreaterThan(200);
  });
});

describe("liveness", () => {
  it("removes a broker that was silent for more than two minutes, at the next scan", async () => {
    await call(RequestCode.REGISTER_BROKER, broker(0), registration());
    clock.advance(120_000);
    expect(await addressesOf("T1")).toEqual(new Map([[0, "10.0.0.1:1000"]]));
    clock.advance(5_001);
    expect(await addressesOf("T1")).toBeUndefined();
    expect(namesrv.table.brokers.size).toBe(0);
    expect(namesrv.table.clusters.size).toBe(0);
    expect(namesrv.table.live.size).toBe(0);
  });

  it.each([-3_600_000, 3_600_000])(
    "keeps its routes when the wall clock jumps by %i ms, and still notices silence",
    async (ms) => {
      await call(RequestCode.REGISTER_BROKER, broker(0), registration());
      clock.jump(ms);
      clock.advance(15_000);
      expect(await addressesOf("T1")).toBeDefined();
      clock.advance(120_001);
      expect(await addressesOf("T1")).toBeUndefined();
    },
  );

  it("takes the time-out that the broker registered with", async () => {
    await call(RequestCode.REGISTER_BROKER, { ...broker(0), heartbeatTimeoutMillis: 9_000 }, registration());
    clock.advance(15_001);
    expect(await addressesOf("T1")).toBeUndefined();
  });

  it.each([
    ["a heartbeat", RequestCode.BROKER_HEARTBEAT, ""],
    ["a data version query", RequestCode.QUERY_DATA_VERSION, '{"counter":1,"stateVersion":0,"timestamp":1}'],
    ["a registration", RequestCode.REGISTER_BROKER, registration()],
  ])("%s is a sign of life", async (_, code, body) => {
    await call(RequestCode.REGISTER_BROKER, broker(0), registration());
    for (let i = 0; i < 4; i++) {
      clock.advance(100_000);
      expect((await call(code, broker(0), body)).code).toBe(ResponseCode.SUCCESS);
    }
    expect(await addressesOf("T1")).toBeDefined();
  });

  it("removes every broker of a connection as soon as it closes", async () => {
    const caller = new TestCaller();
    await call(RequestCode.REGISTER_BROKER, broker(0, "b"), registration(), { caller });
    await call(RequestCode.REGISTER_BROKER, broker(0, "d", 2000), registration(), { caller });
    caller.close();
    clock.finishTurn();
    expect(namesrv.table.live.size).toBe(0);
    expect(await addressesOf("T1")).toBeUndefined();
  });

  it("keeps a broker that registered over a new connection before the old one closed", async () => {
    const caller = new TestCaller();
    await call(RequestCode.REGISTER_BROKER, broker(0), registration(), { caller });
    await call(RequestCode.REGISTER_BROKER, broker(0), registration());
    caller.close();
    clock.finishTurn();
    expect(await addressesOf("T1")).toBeDefined();
  });

  it("a registration in the turn of an unregistration wins", async () => {
    const caller = new TestCaller();
    await call(RequestCode.REGISTER_BROKER, broker(0), registration(), { caller });
    caller.close(); // the removal waits for the end of the turn
    await call(RequestCode.REGISTER_BROKER, broker(0), registration());
    expect(await addressesOf("T1")).toBeDefined();
  });

  it("listens once to a connection, however often a broker registers", async () => {
    const caller = new TestCaller();
    for (let i = 0; i < 5; i++) await call(RequestCode.REGISTER_BROKER, broker(0), registration(), { caller });
    expect(caller.listeners).toBe(1);
  });

  it("refuses unregistrations beyond unRegisterBrokerQueueCapacity", async () => {
    start({ unRegisterBrokerQueueCapacity: "1" });
    const row = rows.get(RequestCode.UNREGISTER_BROKER);
    const request = {
      code: RequestCode.UNREGISTER_BROKER,
      header: broker(0),
      body: Buffer.alloc(0),
      caller: new TestCaller(),
      version: 0,
      language: "JAVA",
      oneway: false,
      field: () => undefined,
    };
    expect(row?.handle?.(request)).toMatchObject({ code: ResponseCode.SUCCESS });
    expect(row?.handle?.(request)).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
      remark: expect.stringContaining("unRegisterBrokerQueueCapacity"),
    });
  });

  it("scans no more after the stop", async () => {
    await call(RequestCode.REGISTER_BROKER, broker(0), registration());
    namesrv.stop();
    clock.advance(1_000_000);
    expect(namesrv.table.live.size).toBe(1);
  });
});

describe("the smallest broker id changes (notifyMinBrokerIdChanged)", () => {
  const acting = (id: number): Record<string, string | number | boolean> => ({
    ...broker(id),
    enableActingMaster: true,
  });

  it("tells all that remain when the master leaves", async () => {
    const sendOneway = vi.fn();
    start({ notifyMinBrokerIdChanged: "true" }, { sendOneway });
    for (const id of [0, 1, 2]) await call(RequestCode.REGISTER_BROKER, acting(id), registration());
    expect(sendOneway).not.toHaveBeenCalled();
    await call(RequestCode.UNREGISTER_BROKER, broker(0));
    const header = { minBrokerId: 1, minBrokerAddr: "10.0.0.1:1001", offlineBrokerAddr: "10.0.0.1:1000" };
    expect(sendOneway.mock.calls).toEqual([
      ["10.0.0.1:1001", RequestCode.NOTIFY_MIN_BROKER_ID_CHANGE, expect.objectContaining(header)],
      ["10.0.0.1:1002", RequestCode.NOTIFY_MIN_BROKER_ID_CHANGE, expect.objectContaining(header)],
    ]);
  });

  it("tells the others, with the HA address, when a smaller id arrives", async () => {
    const sendOneway = vi.fn();
    start({ notifyMinBrokerIdChanged: "true" }, { sendOneway });
    await call(RequestCode.REGISTER_BROKER, acting(1), registration());
    await call(RequestCode.REGISTER_BROKER, acting(0), registration());
    expect(sendOneway.mock.calls).toEqual([
      [
        "10.0.0.1:1001",
        RequestCode.NOTIFY_MIN_BROKER_ID_CHANGE,
        expect.objectContaining({ minBrokerId: 0, minBrokerAddr: "10.0.0.1:1000", haBrokerAddr: "10.0.0.1:1001" }),
      ],
    ]);
  });

  it("tells nobody by default, nor of brokers that know no acting master", async () => {
    const sendOneway = vi.fn();
    start({}, { sendOneway });
    for (const id of [1, 0]) await call(RequestCode.REGISTER_BROKER, acting(id), registration());
    start({ notifyMinBrokerIdChanged: "true" }, { sendOneway });
    for (const id of [0, 1]) await call(RequestCode.REGISTER_BROKER, broker(id), registration());
    await call(RequestCode.UNREGISTER_BROKER, broker(0));
    expect(sendOneway).not.toHaveBeenCalled();
  });
});

describe("addresses are those by which the asking client can reach the broker", () => {
  const rewriteBrokerAddr = (addr: string, caller: Caller): string => addr.replace("10.0.0.1", caller.reachedBy);

  it("in routes, cluster info and the address of the system topics", async () => {
    start({}, { rewriteBrokerAddr });
    await call(RequestCode.REGISTER_BROKER, broker(0), registration());
    const near = { caller: new TestCaller("127.0.0.1") };
    const far = { caller: new TestCaller("192.168.7.7") };
    expect(await addressesOf("T1", near.caller)).toEqual(new Map([[0, "127.0.0.1:1000"]]));
    expect(await addressesOf("T1", far.caller)).toEqual(new Map([[0, "192.168.7.7:1000"]]));
    expect((await call(RequestCode.GET_BROKER_CLUSTER_INFO, {}, "", far)).body).toContain('{0:"192.168.7.7:1000"}');
    expect((await call(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS, {}, "", far)).body).toContain("192.168.7.7:1000");
  });

  it("but not for brokers, which ask for their members", async () => {
    start({}, { rewriteBrokerAddr });
    await call(RequestCode.REGISTER_BROKER, broker(0), registration());
    const group = await call(RequestCode.GET_BROKER_MEMBER_GROUP, { clusterName: "c", brokerName: "b" });
    expect(group.body).toContain("10.0.0.1:1000");
  });
});

describe("key-value configuration", () => {
  it("survives a restart, in Apache's file format", async () => {
    await call(RequestCode.PUT_KV_CONFIG, { namespace: "n", key: "k", value: "v" });
    expect(kvFile.text).toBe('{"configTable":{"n":{"k":"v"}}}');
    start();
    expect((await call(RequestCode.GET_KV_CONFIG, { namespace: "n", key: "k" })).header).toEqual({ value: "v" });
    await call(RequestCode.DELETE_KV_CONFIG, { namespace: "n", key: "k" });
    expect(kvFile.text).toBe('{"configTable":{"n":{}}}');
  });

  it("refuses a change that cannot be written, with the reason", async () => {
    kvFile.failure = new Error("no space left on device");
    const reply = await call(RequestCode.PUT_KV_CONFIG, { namespace: "n", key: "k", value: "v" });
    expect(reply.code).toBe(ResponseCode.SYSTEM_ERROR);
    expect(reply.remark).toContain("no space left on device");
  });

  it("starts empty when the file is damaged, and says so", () => {
    kvFile.text = '{"configTable":{"n":5}}';
    const log = silentLogger();
    const error = vi.spyOn(log, "error");
    start({}, { log });
    expect(error.mock.calls[0][0]).toMatchObject({ reason: expect.stringContaining('configTable{"n"}: 5 is not') });
  });
});

describe("the NameServer's configuration", () => {
  it("is printed as sorted properties text", async () => {
    const lines = String((await call(RequestCode.GET_NAMESRV_CONFIG)).body)
      .trimEnd()
      .split("\n");
    expect(lines).toContain("scanNotActiveBrokerInterval=5000");
    expect(lines).toContain("configBlackList=configBlackList;configStorePath;kvConfigPath");
    expect(lines).toEqual([...lines].sort());
  });

  it("a change acts at once and is kept", async () => {
    const configFile = new MemoryFile();
    start({}, { configFile });
    expect((await call(RequestCode.UPDATE_NAMESRV_CONFIG, {}, "enableAllTopicList=false")).code).toBe(0);
    expect(await call(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)).toMatchObject({ code: 1, remark: "disable" });
    expect(configFile.text).toContain("enableAllTopicList=false\n");
  });

  // The NameServer wrote what a request said to where the request said.
  it.each(["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"])(
    "CVE-2023-37582: %s is black-listed",
    async (key) => {
      const configFile = new MemoryFile();
      start({}, { configFile });
      const reply = await call(RequestCode.UPDATE_NAMESRV_CONFIG, {}, `enableTopicList=false\n${key}=/elsewhere/pwned`);
      expect(reply).toEqual({ code: ResponseCode.NO_PERMISSION, remark: "Can not update config in black list." });
      expect(config.enableTopicList).toBe(true);
      expect(configFile.text).toBeUndefined();
    },
  );

  it("refuses an option that there is not", async () => {
    const reply = await call(RequestCode.UPDATE_NAMESRV_CONFIG, {}, "enableTopicLists=false");
    expect(reply).toEqual({
      code: ResponseCode.SYSTEM_ERROR,
      remark: "unknown key enableTopicLists has no effect; did you mean enableTopicList?",
    });
  });

  it("refuses a wrong value with the reason, where Apache keeps silent", async () => {
    const reply = await call(RequestCode.UPDATE_NAMESRV_CONFIG, {}, "waitSecondsForService=abc");
    expect(reply).toEqual({ code: ResponseCode.SYSTEM_ERROR, remark: "waitSecondsForService=abc: not an integer" });
  });
});

describe("bad requests", () => {
  it.each([
    [RequestCode.REGISTER_BROKER, { brokerName: "b" }, "the header lacks clusterName, brokerAddr, brokerId"],
    [RequestCode.UNREGISTER_BROKER, {}, "the header lacks clusterName, brokerAddr, brokerName, brokerId"],
    [RequestCode.BROKER_HEARTBEAT, {}, "the header lacks clusterName, brokerAddr"],
    [RequestCode.QUERY_DATA_VERSION, { clusterName: "c" }, "the header lacks brokerAddr"],
    [RequestCode.REGISTER_TOPIC_IN_NAMESRV, {}, "the header lacks topic"],
    [RequestCode.PUT_KV_CONFIG, { namespace: "n" }, "namespace or key is null"],
    [RequestCode.PUT_KV_CONFIG, { namespace: "n", key: "k" }, "value is null"],
  ])("code %i with %j: %s", async (code, ext, remark) => {
    expect(await call(code, ext as Record<string, string>)).toEqual({ code: ResponseCode.SYSTEM_ERROR, remark });
  });

  it.each([
    [RequestCode.REGISTER_BROKER, "{oops", "RegisterBrokerBody: a key must be quoted"],
    [RequestCode.QUERY_DATA_VERSION, "[]", "DataVersion: a list is not an object"],
    [RequestCode.REGISTER_TOPIC_IN_NAMESRV, '{"queueDatas":1}', "TopicRouteData.queueDatas: 1 is not a list"],
  ])("code %i with body %j is refused with the reason and changes nothing", async (code, body, reason) => {
    await expect(call(code, { ...broker(0), topic: "T" }, body)).rejects.toThrow(reason);
    expect(namesrv.table.brokers.size + namesrv.table.topics.size + namesrv.table.live.size).toBe(0);
  });
});

it("answers no route before waitSecondsForService when needWaitForService", async () => {
  start({ needWaitForService: "true" });
  await call(RequestCode.REGISTER_BROKER, broker(0), registration());
  const early = await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: "T1" });
  expect(early).toEqual({ code: ResponseCode.SYSTEM_ERROR, remark: "name server not ready" });
  clock.advance(45_000);
  expect(await addressesOf("T1")).toBeDefined();
});

it("shows no orderTopicConf by default, and returns none to brokers when told so", async () => {
  start({ returnOrderTopicConfigToBroker: "false" });
  await call(RequestCode.PUT_KV_CONFIG, { namespace: "ORDER_TOPIC_CONFIG", key: "T1", value: "b:4" });
  expect((await call(RequestCode.REGISTER_BROKER, broker(0), registration())).body).toBeUndefined();
  const route = await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: "T1" });
  expect(route.body).not.toContain("orderTopicConf");
});

/** A JSON body in an order of its own: keys and lists sorted by their text. */
function sorted(body: string): string {
  if (body === "") return "";
  const order = (value: unknown): unknown => {
    if (value instanceof Map) {
      const entries = [...value].map(([k, v]) => [k, order(v)] as const);
      return new Map(entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
    }
    if (Array.isArray(value)) return value.map(order).sort((a, b) => (writeJavaJson(a) < writeJavaJson(b) ? -1 : 1));
    return value;
  };
  return writeJavaJson(order(parseJavaJson(body)));
}
