/** What a slave answers, and what it takes over from its master besides the log. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { MasterComparison } from "../broker/masterComparison.ts";
import type { RequestTo } from "../broker/registration.ts";
import { SlaveSynchronize } from "../broker/slaveSynchronize.ts";
import { newSubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Fields } from "../protocol/frameWriter.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { TimerCheckpoint } from "../store/timer/timerCheckpoint.ts";
import { recordsOf, type WireBroker, type WireReply, wireBroker } from "../testing/wireBroker.ts";

const SUSPEND = 2;
const SUBSCRIPTION = 4;
const SEND = { a: "p", b: "T", c: "TBW102", d: 4, e: 0, f: 0, g: 1, h: 0, i: "UNIQ_KEY\u0001u\u0002" };

let master: WireBroker;
let slave: WireBroker;
/** Whether the slave's connection to its master stands. */
let connected: boolean;

async function start(options: Record<string, string> = {}): Promise<void> {
  connected = false;
  master = await wireBroker();
  master.topics.update([newTopicConfig("T", { readQueueNums: 4, writeQueueNums: 4, perm: 6 })]);
  master.groups.update([newSubscriptionGroupConfig("g")]);
  const given = { brokerRole: "SLAVE", brokerId: "1", slaveReadEnable: "true", ...options };
  slave = await wireBroker(given, undefined, undefined, {
    slaves: () => [],
    master: () => ({
      masterAddr: "10.0.0.1:10912",
      connected,
      lastReadTimestamp: 1,
      lastWriteTimestamp: 2,
      transferredByteInSecond: 3,
    }),
  });
  await synchronize().syncAll();
}

beforeEach(() => start());
afterEach(async () => {
  await slave.close();
  await master.close();
});

/** Asks the master as the slave's connection would. */
const ask: RequestTo = async (_address, code, header, body) => {
  const name = Object.entries(RequestCode).find(([, value]) => value === code)?.[0] as keyof typeof RequestCode;
  const reply = await master.client().ask(name, header as Fields, body === undefined ? {} : { body });
  return { code: reply.code, remark: reply.remark, fields: new Map(Object.entries(reply.fields)), body: reply.body };
};

function synchronize(): SlaveSynchronize {
  const { disk } = slave;
  const sync = new SlaveSynchronize({
    options: slave.config,
    request: ask,
    topics: slave.topics,
    groups: slave.groups,
    offsets: slave.offsets,
    schedule: slave.schedule,
    requestModes: slave.requestModes,
    timerMetricsFile: new MetadataFile(disk, "/store/config/timermetrics"),
    timerCheckpoint: new TimerCheckpoint(disk, "/store/config/timercheck"),
    clock: slave.clock,
    log: silentLogger(),
  });
  sync.setMaster("master:1");
  return sync;
}

async function send(count: number): Promise<void> {
  for (let i = 0; i < count; i++) master.client().send("SEND_MESSAGE_V2", SEND, { body: `m${i}` });
  await master.clock.settle();
}

/** Gives the slave what it lacks of the master's log. */
async function replicate(): Promise<void> {
  const replica = slave.store.replica();
  const bytes = await master.store.readLog(replica.end, master.store.maxLogOffset() - replica.end);
  replica.append(bytes!, 0, bytes!.length, replica.end);
  await slave.clock.settle();
}

function header(more: Fields): Fields {
  return {
    consumerGroup: "g",
    topic: "T",
    queueId: 0,
    queueOffset: 0,
    maxMsgNums: 32,
    sysFlag: SUBSCRIPTION,
    commitOffset: 0,
    suspendTimeoutMillis: 15_000,
    subscription: "*",
    subVersion: 0,
    expressionType: "TAG",
    ...more,
  };
}

function pull(more: Fields = {}): Promise<WireReply> {
  return slave.client().ask("PULL_MESSAGE", header(more));
}

describe("a slave", () => {
  it("refuses sends with Apache's words, and everything that would be written", async () => {
    const client = slave.client();
    const refused = {
      code: 2,
      remark: expect.stringMatching(/^\[REJECTREQUEST\]system busy, start flow control for a while/),
    };
    expect(await client.ask("SEND_MESSAGE_V2", SEND, { body: "x" })).toMatchObject(refused);
    const back = { offset: 0, group: "g", delayLevel: 3 };
    expect(await client.ask("CONSUMER_SEND_MSG_BACK", back)).toMatchObject(refused);
    const pop = {
      consumerGroup: "g",
      topic: "T",
      queueId: 0,
      maxMsgNums: 1,
      invisibleTime: 30_000,
      pollTime: 0,
      bornTime: 1,
      initMode: 0,
    };
    expect(await client.ask("POP_MESSAGE", pop)).toMatchObject({
      code: 16,
      remark: expect.stringContaining("this broker is a slave"),
    });
    expect(slave.store.maxLogOffset()).toBe(0);
  });

  it("without slaveReadEnable refuses pulls, as Apache's does", async () => {
    slave.config.slaveReadEnable = false;
    expect(await pull()).toMatchObject({ code: 2, remark: expect.stringContaining("slaveReadEnable is false") });
  });

  it("gives what its master gave it", async () => {
    await send(5);
    await replicate();
    const reply = await pull({ queueOffset: 2 });
    expect(reply).toMatchObject({ code: 0, fields: { nextBeginOffset: "5", minOffset: "0", maxOffset: "5" } });
    expect(recordsOf(reply.body)).toHaveLength(3);
  });

  it("sends consumers to the master while it is there", async () => {
    connected = true;
    await send(1);
    await replicate();
    expect(await pull()).toMatchObject({ code: 0, fields: { suggestWhichBrokerId: "0" } });
    expect(await pull({ queueOffset: 1, sysFlag: SUSPEND | SUBSCRIPTION })).toMatchObject({
      code: 20,
      fields: { suggestWhichBrokerId: "0", nextBeginOffset: "1" },
    });
  });

  it("holds a pull for what it does not have yet, and answers when it comes", async () => {
    await send(1);
    await replicate();
    const client = slave.client();
    const held = client.send("PULL_MESSAGE", header({ queueOffset: 1, sysFlag: SUSPEND | SUBSCRIPTION }));
    await slave.clock.settle();
    expect(client.answerTo(held)).toBe(undefined);
    await send(1);
    await replicate();
    expect(client.answerTo(held)).toMatchObject({ code: 0, fields: { nextBeginOffset: "2" } });
  });

  it("moves no consumer back who knows more than it has, unless offsetCheckInSlave", async () => {
    await send(3);
    await replicate();
    expect(await pull({ queueOffset: 10 })).toMatchObject({ code: 19, fields: { nextBeginOffset: "10" } });
    slave.config.offsetCheckInSlave = true;
    expect(await pull({ queueOffset: 10 })).toMatchObject({ code: 21, fields: { nextBeginOffset: "3" } });
  });

  it("takes commits of offsets", async () => {
    const commit = { consumerGroup: "g", topic: "T", queueId: 0, commitOffset: 3 };
    expect(await slave.client().ask("UPDATE_CONSUMER_OFFSET", commit)).toMatchObject({ code: 0 });
    expect(slave.offsets.query("g", "T", 0)).toBe(3);
  });

  it("says how it stands to its master (haStatus)", async () => {
    await send(1);
    await replicate();
    await slave.client().ask("RESET_MASTER_FLUSH_OFFSET", { masterFlushOffset: 77 });
    const status = JSON.parse(String((await slave.client().ask("GET_BROKER_HA_STATUS", {})).body));
    expect(status).toMatchObject({
      master: false,
      masterCommitLogMaxOffset: 0,
      haClientRuntimeInfo: {
        masterAddr: "10.0.0.1:10912",
        maxOffset: slave.store.maxLogOffset(),
        masterFlushOffset: 77,
        lastReadTimestamp: 1,
        transferredByteInSecond: 3,
      },
    });
  });

  it("is told no master by strangers; a master tells its address for slaves", async () => {
    const told = { masterHaAddress: "6.6.6.6:1", masterAddress: "6.6.6.6:2", masterFlushOffset: 0 };
    expect(await slave.client().ask("EXCHANGE_BROKER_HA_INFO", told)).toMatchObject({ code: 16 });
    expect(await master.client().ask("EXCHANGE_BROKER_HA_INFO", {})).toMatchObject({
      code: 0,
      fields: {
        masterHaAddress: `${master.config.brokerIP2 ?? master.config.brokerIP1}:${master.config.haListenPort}`,
      },
    });
  });
});

describe("SlaveSynchronize", () => {
  const named = (broker: WireBroker) => [...broker.topics.all()].map((topic) => [topic.topicName, topic] as const);

  it("takes over topics, groups, offsets, delay offsets and request modes, and drops what the master dropped", async () => {
    const sync = synchronize();
    await sync.syncAll();
    master.offsets.commit("g", "T", 0, 41);
    await master.requestModes.set({ topic: "T", consumerGroup: "g", mode: "POP", popShareQueueNum: 2 });
    master.topics.update([newTopicConfig("Gone", { readQueueNums: 1, writeQueueNums: 1, perm: 6 })]);
    master.groups.setForbidden("g", "T", 0, true);
    await sync.syncAll();
    expect(slave.topics.has("Gone")).toBe(true);
    expect(slave.topics.dataVersion).toEqual(master.topics.dataVersion);
    expect(slave.groups.get("g")).toEqual(master.groups.get("g"));
    expect(slave.groups.isForbidden("g", "T", 0)).toBe(true);
    expect(slave.offsets.query("g", "T", 0)).toBe(41);
    expect(slave.requestModes.get("T", "g")).toMatchObject({ mode: "POP", popShareQueueNum: 2 });
    master.topics.delete("Gone");
    master.groups.delete("g");
    await sync.syncAll();
    expect([slave.topics.has("Gone"), slave.groups.has("g")]).toEqual([false, false]);
    expect(new Map(named(slave))).toEqual(new Map(named(master)));
  });

  it("takes a table over in pages", async () => {
    master.config.enableSplitMetadata = true;
    master.config.splitMetadataSize = 7;
    const many = Array.from({ length: 60 }, (_, i) =>
      newTopicConfig(`P${i}`, { readQueueNums: 1, writeQueueNums: 1, perm: 6 }),
    );
    master.topics.update(many);
    await synchronize().syncAll();
    expect(slave.topics.size).toBe(master.topics.size);
  });
});

describe("a slave that is started as a master", () => {
  const later = (seconds: number, body: string) =>
    master
      .client()
      .send(
        "SEND_MESSAGE_V2",
        { ...SEND, i: `UNIQ_KEY\u0001${body}\u0002TIMER_DELAY_SEC\u0001${seconds}\u0002` },
        { body },
      );

  async function pass(broker: WireBroker, seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      await broker.clock.advance(1_000);
      await broker.clock.settle();
    }
  }

  it.each(["after", "before"])(
    "goes on with delay levels and timers, none of them twice; asked %s one came",
    async (when) => {
      await slave.close();
      await master.close();
      const options = { timerWheelEnable: "true" };
      await start(options);
      await master.close();
      master = await wireBroker(options);
      master.topics.update([newTopicConfig("T", { readQueueNums: 4, writeQueueNums: 4, perm: 6 })]);
      later(5, "soon");
      later(60, "late");
      const level = { ...SEND, i: "UNIQ_KEY\u0001level\u0002DELAY\u00015\u0002" };
      master.client().send("SEND_MESSAGE_V2", level, { body: "level" });
      master
        .client()
        .send("SEND_MESSAGE_V2", { ...SEND, i: "UNIQ_KEY\u0001first\u0002DELAY\u00011\u0002" }, { body: "first" });
      // What is delivered after the slave asked last is in the log only.
      const askedBefore = when === "before";
      if (askedBefore) {
        await pass(master, 3);
        await synchronize().syncAll();
      }
      await pass(master, askedBefore ? 17 : 20);
      expect(master.store.maxOffset("T", 0)).toBe(2);
      if (!askedBefore) await synchronize().syncAll();
      await replicate();
      const { disk } = slave;
      await slave.close();
      slave = await wireBroker({ ...options, brokerRole: "ASYNC_MASTER" }, disk, master.clock.now());
      await pass(slave, 20);
      expect(slave.store.maxOffset("T", 0)).toBe(2);
      await pass(slave, 60);
      expect(slave.store.maxOffset("T", 0)).toBe(4);
      await pass(slave, 60);
      expect(slave.store.maxOffset("T", 0)).toBe(4);
      const pulled = await pull();
      expect(
        recordsOf(pulled.body)
          .map(({ text }) => text)
          .sort(),
      ).toEqual(["first", "late", "level", "soon"]);
      // It takes messages again.
      expect(await slave.client().ask("SEND_MESSAGE_V2", SEND, { body: "x" })).toMatchObject({ code: 0 });
    },
  );
});

describe("MasterComparison", () => {
  const compare = () => new MasterComparison(slave.store.replica(), ask, () => "master:1").difference();

  it("finds equal logs equal, and an empty one fit for any master", async () => {
    expect(await compare()).toBe(undefined);
    await send(3);
    await replicate();
    expect(await compare()).toBe(undefined);
    await send(1);
    expect(await compare()).toBe(undefined);
  });

  it("finds a master that lacks the newest message here, or has another one in its place", async () => {
    await send(2);
    await replicate();
    await master.close();
    master = await wireBroker();
    expect(await compare()).toMatch(/has no message at log offset \d+, where the newest one of this slave lies/);
    master.clock.jump(5);
    await send(2);
    expect(await compare()).toMatch(/is not the one that the master master:1 has there: the logs have diverged/);
  });
});
