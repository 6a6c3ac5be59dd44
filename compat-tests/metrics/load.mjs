// One of everything that the metrics of a broker count, by raw requests, the same for both servers: sends of every type, pulls, pops with
// acknowledgements, messages given back, transactions decided both ways, timers, topics and groups made, and requests that are refused.

import { setTimeout as sleep } from "node:timers/promises";
import { createTopic, RawClient, sendHeader } from "../chaos/lib/client.mjs";
import { batchBody, CODE, parseProperties, parseRecords, properties } from "../chaos/lib/wire.mjs";

const POP = 200_050;
const ACK = 200_051;
const CHANGE_INVISIBLE = 200_053;
const CREATE_GROUP = 200;
const UNREGISTER = 35;
const BROKER_CONFIG = 26;
const GROUP_LIST = 38;
const NO_SUCH_CODE = 9_999;
const HALF = 4;
const COMMIT = 8;
const ROLLBACK = 12;
const QUEUES = 2;
const STEP_LIMIT_MS = 30_000;

export const TOPIC = "Metered";
export const GROUP = "metered";
export const POP_GROUP = "popped";
const TIMED = "MeteredTimers";

let keys = 0;
const uniqueKey = () => (++keys).toString(16).toUpperCase().padStart(32, "A");

/**
 * @param {number} port of the broker
 * @returns {Promise<() => void>} ends the clients; scrape before it.
 */
export async function load(port) {
  const client = await RawClient.open({ port });
  const popper = await RawClient.open({ port });
  await createTopic(client, TOPIC, QUEUES);
  await createTopic(client, TIMED, QUEUES);
  await client.ask(CODE.CREATE_TOPIC, { topic: "no good name!", defaultTopic: "TBW102", perm: 6, readQueueNums: 1 });
  for (const groupName of [GROUP, POP_GROUP]) await createGroup(client, groupName);
  await heartbeat(client, "meter", GROUP, "CONSUME_PASSIVELY");
  await heartbeat(popper, "pop", POP_GROUP, "CONSUME_POP");

  const sent = [];
  for (let i = 0; i < 6; i++) sent.push(await send(client, TOPIC, i % QUEUES, {}, 100 + i * 1000));
  await send(client, TOPIC, 0, { __SHARDINGKEY: "k" });
  await send(client, TOPIC, 0, { DELAY: 1 });
  await send(client, TIMED, 0, { TIMER_DELAY_MS: 2_000 });
  await send(client, TIMED, 1, { TIMER_DELAY_SEC: 3_600 });
  await send(client, TOPIC, 0, { TRAN_MSG: false });
  await batch(client);
  client.tell(CODE.SEND, header(TOPIC, 1, {}), Buffer.from("oneway"));
  await send(client, `${TOPIC}Made`, 0, {});
  await refused(client, "no/good");
  await transactions(client);

  await pullAll(client);
  await giveBack(client, sent[0]);
  await popAll(popper);
  await client.ask(BROKER_CONFIG, {});
  await client.ask(GROUP_LIST, { consumerGroup: "nobody" });
  await client.ask(NO_SUCH_CODE, {});
  await client.pull({ group: GROUP, topic: "NoSuchTopic", queueId: 0, offset: 0 });
  await delivered(client);
  return () => {
    client.destroy();
    popper.destroy();
  };
}

async function createGroup(client, groupName) {
  const body = Buffer.from(JSON.stringify({ groupName, retryMaxTimes: 16, retryQueueNums: 1 }));
  expectOk("create a group", await client.ask(CREATE_GROUP, {}, body));
}

async function heartbeat(client, clientID, groupName, consumeType) {
  const subscription = {
    classFilterMode: false,
    codeSet: [],
    expressionType: "TAG",
    subString: "*",
    subVersion: 0,
    tagsSet: [],
    topic: TOPIC,
  };
  const body = {
    clientID,
    consumerDataSet: [
      {
        consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
        consumeType,
        groupName,
        messageModel: "CLUSTERING",
        subscriptionDataSet: [subscription, { ...subscription, topic: `%RETRY%${groupName}` }],
        unitMode: false,
      },
    ],
    heartbeatFingerprint: 0,
    isWithoutSub: false,
    producerDataSet: [{ groupName: "producers" }],
  };
  expectOk("heartbeat", await client.ask(CODE.HEART_BEAT, {}, Buffer.from(JSON.stringify(body))));
}

function header(topic, queueId, more) {
  return sendHeader({ group: "producers", topic, queueId, properties: properties({ UNIQ_KEY: uniqueKey(), ...more }) });
}

async function send(client, topic, queueId, more, bytes = 64) {
  const reply = await client.ask(CODE.SEND, header(topic, queueId, more), Buffer.alloc(bytes, "m"));
  expectOk(`send to ${topic}`, reply);
  return reply;
}

async function refused(client, topic) {
  const reply = await client.ask(CODE.SEND, header(topic, 0, {}), Buffer.from("m"));
  if (reply.code === 0) throw new Error(`${topic} was taken for a topic`);
}

async function batch(client) {
  const messages = [1, 2, 3].map((i) => ({ body: Buffer.alloc(i * 50, "b"), properties: { UNIQ_KEY: uniqueKey() } }));
  const ext = sendHeader({
    group: "producers",
    topic: TOPIC,
    queueId: 1,
    properties: properties({ UNIQ_KEY: uniqueKey() }),
    batch: true,
  });
  expectOk("send a batch", await client.ask(CODE.SEND_BATCH, ext, batchBody(messages)));
}

async function transactions(client) {
  for (const end of [COMMIT, ROLLBACK, undefined]) {
    const more = { TRAN_MSG: true, PGROUP: "producers" };
    const ext = { ...header(TOPIC, 0, more), f: HALF };
    const reply = await client.ask(CODE.SEND, ext, Buffer.from("half"));
    expectOk("send a half message", reply);
    if (end === undefined) continue;
    const ended = await client.ask(CODE.END_TRANSACTION, {
      producerGroup: "producers",
      tranStateTableOffset: reply.ext.queueOffset,
      commitLogOffset: Number(BigInt(`0x${reply.ext.msgId.slice(-16)}`)),
      commitOrRollback: end,
      fromTransactionCheck: false,
      msgId: reply.ext.transactionId,
      transactionId: reply.ext.transactionId,
    });
    expectOk("end a transaction", ended);
  }
}

async function pullAll(client) {
  for (let queueId = 0; queueId < QUEUES; queueId++) {
    const first = await client.pull({ group: GROUP, topic: TOPIC, queueId, offset: 0, max: 2 });
    expectOk("pull", first);
    await client.ask(CODE.UPDATE_OFFSET, { consumerGroup: GROUP, topic: TOPIC, queueId, commitOffset: 1 });
  }
  // One that waits until it is told that nothing came, one that a message ends.
  const end = Number((await client.ask(CODE.MAX_OFFSET, { topic: TOPIC, queueId: 1 })).ext.offset);
  const waiting = { group: GROUP, topic: TOPIC, queueId: 1, offset: end };
  await client.pull({ ...waiting, suspendMs: 1_000 });
  const held = client.pull({ ...waiting, suspendMs: 20_000 });
  await sleep(300);
  await send(client, TOPIC, 1, {});
  expectOk("held pull", await held);
}

async function giveBack(client, sent) {
  const offset = Number(BigInt(`0x${sent.ext.msgId.slice(-16)}`));
  for (const delayLevel of [1, -1]) {
    const reply = await client.ask(CODE.SEND_BACK, {
      offset,
      group: GROUP,
      delayLevel,
      originMsgId: sent.ext.msgId,
      originTopic: TOPIC,
      unitMode: false,
      maxReconsumeTimes: 16,
    });
    expectOk("give back", reply);
  }
}

async function popAll(client) {
  const popped = [];
  for (let queueId = 0; queueId < QUEUES; queueId++) popped.push(...(await pop(client, queueId)));
  const [acked, changed] = popped;
  expectOk("ack", await client.ask(ACK, acked));
  expectOk("change", await client.ask(CHANGE_INVISIBLE, { ...changed, invisibleTime: 60_000 }));
}

async function pop(client, queueId) {
  const reply = await client.ask(POP, {
    consumerGroup: POP_GROUP,
    topic: TOPIC,
    queueId,
    maxMsgNums: 2,
    invisibleTime: 3_000,
    pollTime: 0,
    bornTime: Date.now(),
    initMode: 0,
    expType: "TAG",
    exp: "*",
    order: false,
  });
  expectOk("pop", reply);
  const { popTime, invisibleTime, reviveQid, startOffsetInfo } = reply.ext;
  const start = startOffsetInfo.split(";")[0].split(" ")[2];
  return parseRecords(reply.body).map((record) => ({
    consumerGroup: POP_GROUP,
    topic: TOPIC,
    queueId,
    offset: record.queueOffset,
    extraInfo:
      parseProperties(record.properties).POP_CK ??
      [start, popTime, invisibleTime, reviveQid, 0, "broker-a", queueId, record.queueOffset].join(" "),
  }));
}

/** Waits until delay, timer and the pop's invisible time have passed and what they bring is there. */
async function delivered(client) {
  const began = Date.now();
  for (const topic of [TIMED, `%RETRY%${POP_GROUP}_${TOPIC}`]) {
    for (;;) {
      let messages = 0;
      for (let queueId = 0; queueId < QUEUES; queueId++) {
        const reply = await client.ask(CODE.MAX_OFFSET, { topic, queueId });
        messages += reply.code === 0 ? Number(reply.ext.offset) : 0;
      }
      if (messages > 0) break;
      if (Date.now() - began > STEP_LIMIT_MS) throw new Error(`nothing came to ${topic}`);
      await sleep(100);
    }
  }
  // What they bring comes through a pop with the retry topic, too.
  const popper = await RawClient.open({ port: client.socket.remotePort });
  // Until nothing is left: which of the two a pop looks at first is chance.
  while ((await popper.ask(POP, retryPop())).code === 0);
  popper.destroy();
  await client.ask(UNREGISTER, { clientID: "nobody", consumerGroup: "nobody" });
}

function retryPop() {
  return {
    consumerGroup: POP_GROUP,
    topic: TOPIC,
    queueId: -1,
    maxMsgNums: 32,
    invisibleTime: 60_000,
    pollTime: 0,
    bornTime: Date.now(),
    initMode: 0,
    expType: "TAG",
    exp: "*",
    order: false,
  };
}

function expectOk(what, reply) {
  if (reply.code !== 0) throw new Error(`${what}: ${reply.code} ${reply.remark}`);
}
