// Creates what the scenarios need, over remoting: 5.x clients cannot create topics or groups themselves.

import { setTimeout as sleep } from "node:timers/promises";
import { RawClient } from "../../chaos/lib/client.mjs";
import { nameOf, SCENARIOS } from "./scenarios.mjs";

const UPDATE_AND_CREATE_TOPIC = 17;
const GET_ROUTEINFO_BY_TOPIC = 105;
const UPDATE_AND_CREATE_SUBSCRIPTIONGROUP = 200;
const QUEUES = 4;
const ROUTE_LIMIT_MS = 60_000;

const GROUP_DEFAULTS = {
  consumeEnable: true,
  consumeFromMinEnable: true,
  consumeBroadcastEnable: true,
  consumeMessageOrderly: false,
  retryQueueNums: 1,
  retryMaxTimes: 16,
  brokerId: 0,
  whichBrokerWhenConsumeSlowly: 1,
  notifyConsumerIdsChangedEnable: true,
};

/**
 * @param {number | { host: string, port: number }} broker a port of this machine, or elsewhere.
 * @param {(ext: object, body?: Buffer) => object} sign adds a signature to the fields of a request, where that is asked for
 */
export async function createResources(broker, run, names, sign = (ext) => ext) {
  const client = await RawClient.open(typeof broker === "number" ? { port: broker } : broker);
  const ask = async (code, ext, body) => {
    const reply = await client.ask(code, sign(ext, body), body);
    if (reply.code !== 0) throw new Error(`request ${code} ${JSON.stringify(ext)}: ${reply.code} ${reply.remark}`);
  };
  try {
    for (const name of names) {
      const { topics, groups } = SCENARIOS[name];
      for (const [suffix, type] of Object.entries(topics)) {
        await ask(UPDATE_AND_CREATE_TOPIC, {
          topic: nameOf(run, name, suffix),
          defaultTopic: "TBW102",
          readQueueNums: QUEUES,
          writeQueueNums: QUEUES,
          perm: 6,
          topicFilterType: "SINGLE_TAG",
          topicSysFlag: 0,
          order: false,
          attributes: `+message.type=${type}`,
        });
      }
      for (const [suffix, settings] of Object.entries(groups)) {
        const { bind, ...given } = settings;
        const config = { ...GROUP_DEFAULTS, groupName: nameOf(run, name, suffix), ...given };
        if (bind) config.attributes = { ...given.attributes, "+lite.bind.topic": nameOf(run, name, bind) };
        await ask(UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, Buffer.from(JSON.stringify(config)));
      }
    }
  } finally {
    client.destroy();
  }
}

/**
 * Waits until the NameServer knows the topics of the scenarios: Apache's broker registers a new topic behind its answer, and Apache's proxy keeps
 * for 20 s that it has found none.
 */
export async function awaitRoutes(namesrvPort, run, names) {
  const client = await RawClient.open({ port: namesrvPort });
  const limit = Date.now() + ROUTE_LIMIT_MS;
  try {
    for (const name of names) {
      for (const suffix of Object.keys(SCENARIOS[name].topics)) {
        const topic = nameOf(run, name, suffix);
        while ((await client.ask(GET_ROUTEINFO_BY_TOPIC, { topic })).code !== 0) {
          if (Date.now() > limit) throw new Error(`no route of ${topic} within ${ROUTE_LIMIT_MS} ms`);
          await sleep(50);
        }
      }
    }
  } finally {
    client.destroy();
  }
}
