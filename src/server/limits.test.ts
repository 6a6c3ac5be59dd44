/** Limits of a whole cluster, as clients meet them. */
import { Buffer } from "node:buffer";
import { afterEach, expect, it } from "vitest";
import { type RunningCluster, startCluster, startNameServer } from "../index.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { RawClient } from "../testing/rawClient.ts";

let cluster: RunningCluster | undefined;
const clients: RawClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await cluster?.close();
  cluster = undefined;
});

async function clientOf(config: Record<string, string>): Promise<RawClient> {
  cluster = await startCluster({ config });
  return another();
}

async function another(): Promise<RawClient> {
  const client = await RawClient.connect((cluster as RunningCluster).brokerAddr);
  clients.push(client);
  return client;
}

async function send(client: RawClient, topic: string): Promise<string> {
  const fields = {
    producerGroup: "P",
    topic,
    defaultTopic: "TBW102",
    defaultTopicQueueNums: "1",
    queueId: "0",
    sysFlag: "0",
    bornTimestamp: "1",
    flag: "0",
  };
  const { code, remark } = await client.ask(RequestCode.SEND_MESSAGE, { fields, body: "x" });
  return `${code} ${remark ?? ""}`;
}

const pull = async (client: RawClient, consumerGroup: string): Promise<string> => {
  const fields = { consumerGroup, topic: "TBW102", queueId: "0", queueOffset: "0", maxMsgNums: "1", sysFlag: "4" };
  const more = { commitOffset: "0", suspendTimeoutMillis: "0", subVersion: "0", subscription: "*" };
  const { code, remark } = await client.ask(RequestCode.PULL_MESSAGE, { fields: { ...fields, ...more } });
  return `${code} ${remark ?? ""}`;
};

const TOPIC = { defaultTopic: "TBW102", readQueueNums: 1, writeQueueNums: 1, perm: 6, topicFilterType: "SINGLE_TAG" };
const create = async (client: RawClient, topic: string): Promise<string> => {
  const fields = { ...TOPIC, topic, order: false };
  const { code, remark } = await client.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, { fields });
  return `${code} ${remark ?? ""}`;
};

it("lets clients of one address make so many topics by sending, and no more by other connections", async () => {
  const client = await clientOf({ "limit.topicsPerClient": "2" });
  expect(await send(client, "a")).toMatch(/^0 /);
  expect(await send(client, "b")).toMatch(/^0 /);
  for (const topic of ["c", "%RETRY%c"]) {
    expect(await send(await another(), topic)).toMatch(
      /^17 topic\[.*c\] not exist, apply first please!.* Not created: clients at 127\.0\.0\.1 have made 2 topics since the start, which is the most \(limit\.topicsPerClient\)$/s,
    );
  }
  expect(await send(client, "a")).toMatch(/^0 /);
  expect(await create(client, "c")).toMatch(/^0 /);
  expect(await send(client, "c")).toMatch(/^0 /);
});

it("holds so many topics and no more, whoever makes them", async () => {
  const client = await clientOf({ "limit.topics": "1" });
  expect(await create(client, "c")).toMatch(/^1 there are \d+ topics, which is the most \(limit\.topics\)$/);
  expect(await send(client, "d")).toMatch(/^17 .*which is the most \(limit\.topics\)$/s);
});

it("lets clients of one address make so many groups, by pulls and by heartbeats", async () => {
  const client = await clientOf({ "limit.groupsPerClient": "1" });
  const consumerDataSet = ["g1", "g2"].map((groupName) => ({
    groupName,
    consumeType: "CONSUME_PASSIVELY",
    messageModel: "CLUSTERING",
    consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
    subscriptionDataSet: [{ topic: "TBW102", subString: "*" }],
  }));
  const body = writeJavaJson({ clientID: "c", consumerDataSet, producerDataSet: [] });
  expect((await client.ask(RequestCode.HEART_BEAT, { body })).code).toBe(0);
  expect(await pull(client, "g1")).toMatch(/^(19|20|21) /);
  for (const group of ["g2", "g3"]) {
    expect(await pull(client, group)).toMatch(
      /^26 subscription group \[g[23]\] does not exist, .* Not created: clients at 127\.0\.0\.1 have made 1 groups since the start, which is the most \(limit\.groupsPerClient\)$/s,
    );
  }
});

it("takes so many connections of one address, and another one when one has gone", async () => {
  const first = await clientOf({ "limit.connectionsPerAddress": "3" });
  await first.ask(RequestCode.GET_BROKER_CONFIG);
  // The broker itself may have one: only what is left of three is for clients.
  let refused = false;
  while (!refused) {
    const client = await another();
    refused = await Promise.race([
      client.ask(RequestCode.GET_BROKER_CONFIG).then(() => false),
      client.closed.then(() => true),
    ]);
    expect(clients.length).toBeLessThanOrEqual(4);
  }
  expect((await first.ask(RequestCode.GET_BROKER_CONFIG)).code).toBe(0);
  first.close();
  await expect
    .poll(async () => {
      const client = await another();
      return Promise.race([
        client.ask(RequestCode.GET_BROKER_CONFIG).then(({ code }) => code),
        client.closed.then(() => "closed"),
      ]);
    })
    .toBe(0);
});

it("cuts off who began a request first and does not finish it, when too much is unfinished", async () => {
  const whole = await clientOf({ "limit.unfinishedRequestBytes": String(1024 * 1024) });
  const unfinished = async () => {
    const client = await another();
    const head = Buffer.alloc(4);
    head.writeInt32BE(8 * 1024 * 1024);
    client.socket.write(Buffer.concat([head, Buffer.alloc(600 * 1024, 1)]));
    return client;
  };
  const slow = await unfinished();
  await unfinished();
  await slow.closed;
  expect((await whole.ask(RequestCode.GET_BROKER_CONFIG)).code).toBe(0);
});

it("refuses a limit that is none", async () => {
  await expect(startNameServer({ config: { "limit.topic": "1" } })).rejects.toThrow(
    "unknown limit limit.topic; did you mean limit.topics?",
  );
  await expect(startCluster({ config: { "limit.topics": "-1" } })).rejects.toThrow("not a whole number above 0");
});
