// The server's part of what first.mjs measures: a push consumer of our own that waits for nothing between its steps.

import { createResources } from "./resources.mjs";
import { Rpc } from "./rpc.mjs";
import { nameOf } from "./scenarios.mjs";

const PUSH_CONSUMER = 2;
const TAG = 1;
const EVERY = { type: TAG, expression: "*" };

/** @returns {Promise<{ start: number, first: number, next: number, fresh: number }[]>} ms, one row for each of `runs` */
export async function rawFirst(server, scenario, runs) {
  const address = `127.0.0.1:${server.grpcPort}`;
  for (const run of runs) await createResources(server.brokerPort, run, [scenario]);
  const places = runs.map((run) => {
    const [topic, group, fresh] = ["normal", "g", "fresh"].map((suffix) => ({ name: nameOf(run, scenario, suffix) }));
    return { run, topic, group, fresh };
  });
  // A receive gives a group its place at the end of each queue; they wait together.
  await Promise.all(
    places.map(async ({ run, topic, group }) => {
      const { rpc, receive } = await consumer(address, `settler-${run}`, topic, group, 5);
      await receive();
      rpc.close();
    }),
  );
  const producer = new Rpc(address, `producer-${runs[0]}`);
  const results = [];
  for (const place of places) results.push(await measure(address, producer, place));
  producer.close();
  return results;
}

async function measure(address, producer, { run, topic, group, fresh }) {
  const send = async (text) => {
    const message = { topic, body: Buffer.from(text), systemProperties: { messageId: `${run}-${text}` } };
    const { status } = await producer.call("SendMessage", { messages: [message] });
    if (status.code !== 20_000) throw new Error(`send: ${status.code} ${status.message}`);
  };
  await send("first");
  let begin = performance.now();
  const known = await consumer(address, `known-${run}`, topic, group, 20);
  const start = performance.now() - begin;
  await known.receive("first");
  const first = performance.now() - begin;
  const waiting = known.receive("next");
  begin = performance.now();
  await send("next");
  await waiting;
  const next = performance.now() - begin;
  known.rpc.close();

  begin = performance.now();
  const newcomer = await consumer(address, `fresh-${run}`, topic, fresh, 20);
  let seen = false;
  const any = newcomer.receive("probe").then(() => {
    seen = true;
    return performance.now() - begin;
  });
  for (let i = 0; !seen; i++) {
    await send(`probe ${i}`);
    await Promise.race([any, new Promise((resolve) => setTimeout(resolve, 100))]);
  }
  newcomer.rpc.close();
  return { start, first, next, fresh: await any };
}

/** A consumer with its settings agreed upon and its assignment known. */
async function consumer(address, clientId, topic, group, seconds) {
  const rpc = new Rpc(address, clientId);
  await rpc.call("QueryRoute", { topic });
  const subscription = { group, subscriptions: [{ topic, expression: EVERY }] };
  const stream = await rpc.telemetry({ clientType: PUSH_CONSUMER, subscription, requestTimeout: { seconds: 3 } });
  stream.on("error", () => {});
  const { assignments } = await rpc.call("QueryAssignment", { topic, group });
  const receive = async (wanted) => {
    for (;;) {
      const replies = await rpc.stream("ReceiveMessage", {
        group,
        messageQueue: assignments[0].messageQueue,
        filterExpression: EVERY,
        batchSize: 32,
        autoRenew: true,
        longPollingTimeout: { seconds },
      });
      if (wanted === undefined) return;
      if (replies.some(({ message }) => message?.body.toString().startsWith(wanted))) return;
    }
  };
  return { rpc, receive };
}
