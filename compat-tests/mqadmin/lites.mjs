// Lite topics with messages, subscribers and progress, which neither mqadmin nor a classic client can make: as a proxy does, over one
// connection that stays open.

import { RawClient } from "../chaos/lib/client.mjs";

const CODE = { SEND: 310, ACK: 200_051, POP_LITE: 200_070, SUBSCRIBE: 200_071 };
export const LITE_PARENT = "LiteParent";
export const LITE_GROUP = "LiteGroup";
export const LITE_WILDCARD_GROUP = "LiteWildcardGroup";
export const LITE_CLIENT = "lite-client";
const MESSAGES = { apples: 3, berries: 2, cherries: 1 };
/** What was given and is not acknowledged stays so for the rest of the script. */
const INVISIBLE_MS = 3_600_000;
const POLL_MS = 5_000;
const LIMIT_MS = 60_000;

/**
 * Sends to three lite topics, reads two of them a part of the way and subscribes a third and, with another group, all of them.
 * @param {{ brokerPort: number }} server
 * @param {string} brokerName
 * @returns {Promise<RawClient>} its subscriptions last as long as this connection
 */
export async function prepareLites({ brokerPort }, brokerName) {
  const client = await RawClient.open({ port: brokerPort });
  for (const [lite, count] of Object.entries(MESSAGES)) {
    for (let i = 0; i < count; i++) await done(client, CODE.SEND, sendFields(lite, i), `${lite} ${i}`);
  }
  for (const [lite, count] of [
    ["apples", 3],
    ["berries", 1],
  ]) {
    await subscribe(client, { liteTopicSet: [lite], offsetOption: { type: "OFFSET", value: 0 } });
    const popTime = await pop(client, count);
    const extraInfo = `0 ${popTime} ${INVISIBLE_MS} 999 0 ${brokerName} 0 0`;
    const place = { consumerGroup: LITE_GROUP, topic: LITE_PARENT, liteTopic: lite, queueId: 0, offset: 0 };
    await done(client, CODE.ACK, { ...place, extraInfo });
  }
  await subscribe(client, { liteTopicSet: ["cherries"] });
  await subscribe(client, {
    action: "COMPLETE_ADD",
    clientId: "lite-other",
    group: LITE_WILDCARD_GROUP,
    liteTopicSet: [],
  });
  return client;
}

function sendFields(lite, i) {
  const key = `${lite}${i}`.toUpperCase().padEnd(32, "0");
  const properties = `UNIQ_KEY\u0001${key}\u0002__LITE_TOPIC\u0001${lite}\u0002`;
  const own = { a: "LiteProducer", b: LITE_PARENT, c: "TBW102", d: 4, e: 0, f: 0, g: Date.now(), h: 0, i: properties };
  return { ...own, j: 0, k: false, l: 0, m: false };
}

function subscribe(client, change) {
  const one = { action: "PARTIAL_ADD", clientId: LITE_CLIENT, group: LITE_GROUP, topic: LITE_PARENT, version: 1 };
  return done(client, CODE.SUBSCRIBE, {}, JSON.stringify({ subscriptionSet: [{ ...one, ...change }] }));
}

/** Pops until `count` messages come at once. @returns {Promise<string>} when they were popped, ms */
async function pop(client, count) {
  const limit = Date.now() + LIMIT_MS;
  while (Date.now() < limit) {
    const fields = { clientId: LITE_CLIENT, consumerGroup: LITE_GROUP, topic: LITE_PARENT, maxMsgNum: count };
    const times = { invisibleTime: INVISIBLE_MS, pollTime: POLL_MS, bornTime: Date.now() };
    const { code, remark, ext } = await client.ask(CODE.POP_LITE, { ...fields, ...times });
    if (code === 0 && ext.orderCountInfo.split(";").length === count) return ext.popTime;
    if (code === 0) throw new Error(`a pop of ${count} lite messages got others: ${JSON.stringify(ext)}`);
    if (ext?.orderCountInfo === undefined) throw new Error(`a pop of lite messages got code ${code}: ${remark}`);
  }
  throw new Error(`no lite messages within ${LIMIT_MS} ms`);
}

async function done(client, code, fields, body) {
  const reply = await client.ask(code, fields, body === undefined ? undefined : Buffer.from(body));
  if (reply.code !== 0) throw new Error(`request ${code} got code ${reply.code}: ${reply.remark}`);
  return reply;
}
