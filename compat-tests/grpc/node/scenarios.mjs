// Runs scenarios of the Node 5.x client; the contract is in ../README.md.

import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const require = createRequire(import.meta.url);
const { ConsumeResult, FilterExpression, Producer, PushConsumer, SimpleConsumer } = require("rocketmq-client-nodejs");

const DELIVERY_MS = 45_000;
const TAG = 1;
const SQL = 2;
const RESOLUTION = { UNKNOWN: 0, COMMIT: 1, ROLLBACK: 2 };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function check(what, holds) {
  if (!holds) throw new Error(what);
}

function equal(what, wanted, got) {
  const [a, b] = [JSON.stringify(wanted), JSON.stringify(got)];
  check(`${what}: wanted ${a}, got ${b}`, a === b);
}

async function waitFor(what, condition, limitMs = DELIVERY_MS) {
  const end = Date.now() + limitMs;
  while (!condition()) {
    check(`not within ${limitMs} ms: ${what}`, Date.now() < end);
    await sleep(20);
  }
}

/** What a scenario works with: the names the runner made for it, and clients that are closed afterwards. */
class Ctx {
  facts = {};
  /** Milliseconds, by what took them. */
  times = {};
  #clients = [];

  constructor(endpoints, run, name) {
    this.base = { endpoints, namespace: "", requestTimeout: 10_000, logger: quiet };
    this.prefix = `G${run}_${name.replaceAll("-", "_")}_`;
  }

  name(suffix) {
    return this.prefix + suffix;
  }

  async #own(client) {
    await client.startup();
    this.#clients.push(client);
    return client;
  }

  producer(topic, check) {
    return this.#own(new Producer({ ...this.base, topics: [topic], ...(check ? { checker: { check } } : {}) }));
  }

  simple(group, topic, filter = FilterExpression.SUB_ALL, awaitDuration = 5_000) {
    const subscriptions = new Map([[topic, filter]]);
    return this.#own(new SimpleConsumer({ ...this.base, consumerGroup: group, subscriptions, awaitDuration }));
  }

  push(group, topic, consume) {
    const subscriptions = new Map([[topic, FilterExpression.SUB_ALL]]);
    return this.#own(
      new PushConsumer({ ...this.base, consumerGroup: group, subscriptions, messageListener: { consume } }),
    );
  }

  async close() {
    for (const client of this.#clients) await client.shutdown().catch(() => {});
  }
}

const message = (topic, body, more = {}) => ({ topic, body: Buffer.from(body), ...more });
const bodies = (messages) => messages.map((each) => each.body.toString());

/** Receives and acknowledges until there are so many. */
async function receive(consumer, count) {
  const got = [];
  const end = Date.now() + DELIVERY_MS;
  while (got.length < count && Date.now() < end) {
    for (const each of await consumer.receive(16, 20_000)) {
      got.push(each);
      await consumer.ack(each);
    }
  }
  return got;
}

async function first(consumer, invisibleMs) {
  const end = Date.now() + DELIVERY_MS;
  while (Date.now() < end) {
    const [one] = await consumer.receive(1, invisibleMs);
    if (one) return one;
  }
  throw new Error("no message");
}

async function refusal(action) {
  let result;
  try {
    result = await action();
  } catch (error) {
    return `${error.name} ${error.code ?? ""}`.trim();
  }
  throw new Error(`not refused: ${result}`);
}

const scenarios = {
  async send(ctx) {
    const topic = ctx.name("normal");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    const producer = await ctx.producer(topic);
    const ids = new Set();
    for (let i = 0; i < 20; i++) ids.add((await producer.send(message(topic, `body ${i}`))).messageId);
    equal("distinct ids", 20, ids.size);
    const got = await receive(consumer, 20);
    equal("ids", [...ids].sort(), got.map((each) => each.messageId).sort());
    equal("bodies", 20, new Set(bodies(got)).size);
    check(
      "attempts",
      got.every((each) => each.deliveryAttempt === 1),
    );
    equal("after the acknowledgements", 0, (await consumer.receive(16, 10_000)).length);
  },

  async "send-async"(ctx) {
    const topic = ctx.name("normal");
    const producer = await ctx.producer(topic);
    const receipts = await Promise.all(
      Array.from({ length: 300 }, (_, i) => producer.send(message(topic, `body ${i}`))),
    );
    equal("distinct ids", 300, new Set(receipts.map(({ messageId }) => messageId)).size);
  },

  async "send-properties"(ctx) {
    const topic = ctx.name("normal");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    const properties = new Map([
      ["a", "1"],
      ["ключ", "значение = x;y"],
    ]);
    const producer = await ctx.producer(topic);
    await producer.send(message(topic, "Grüße, 世界", { tag: "täg", keys: ["k1", "schlüssel-2"], properties }));
    const [got] = await receive(consumer, 1);
    equal("body", "Grüße, 世界", got.body.toString());
    equal("tag", "täg", got.tag);
    equal("keys", ["k1", "schlüssel-2"], got.keys);
    equal("properties", [...properties].sort(), [...got.properties].sort());
    check("not corrupted", !got.corrupted);
    check("born host", got.bornHost !== "");
  },

  async "send-large"(ctx) {
    const topic = ctx.name("normal");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    const producer = await ctx.producer(topic);
    // What the client itself takes back by default: 4 MiB with all that travels beside the body.
    const body = Buffer.alloc((4 << 20) - 8192).map((_, i) => (i * 31) >> 3);
    await producer.send(message(topic, body));
    const [got] = await receive(consumer, 1);
    check("the body came as it was", got.body.equals(body) && !got.corrupted);
    ctx.facts["a byte above 4 MiB"] = await refusal(() => producer.send(message(topic, Buffer.alloc((4 << 20) + 1))));
  },

  async "send-refused"(ctx) {
    const topic = ctx.name("normal");
    const producer = await ctx.producer(topic);
    const fact = async (what, sent) => {
      ctx.facts[what] = await refusal(() => producer.send(sent));
    };
    await fact("group on a normal topic", message(topic, "x", { messageGroup: "g" }));
    await fact("delay on a normal topic", message(topic, "x", { deliveryTimestamp: new Date(Date.now() + 1000) }));
    await fact("unknown topic", message(ctx.name("missing"), "x"));
    await producer.send(message(topic, "still alive"));
  },

  async delay(ctx) {
    const topic = ctx.name("delay");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    const producer = await ctx.producer(topic);
    const due = Date.now() + 4_000;
    await producer.send(message(topic, "later", { deliveryTimestamp: new Date(due) }));
    equal("messages", ["later"], bodies(await receive(consumer, 1)));
    const late = Date.now() - due;
    check(`came at ${late} ms from its time`, late > -500 && late < 10_000);
  },

  async recall(ctx) {
    const topic = ctx.name("delay");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    const producer = await ctx.producer(topic);
    const deliveryTimestamp = new Date(Date.now() + 6_000);
    const { recallHandle, messageId } = await producer.send(message(topic, "recalled", { deliveryTimestamp }));
    await producer.send(message(topic, "kept", { deliveryTimestamp }));
    const receipt = await producer.recallMessage(topic, recallHandle);
    equal("recalled", messageId, receipt.messageId);
    equal("messages", ["kept"], bodies(await receive(consumer, 1)));
    equal("nothing more", 0, (await consumer.receive(16, 10_000)).length);
  },

  async transaction(ctx) {
    const topic = ctx.name("tx");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    const producer = await ctx.producer(topic, async () => RESOLUTION.UNKNOWN);
    const commit = producer.beginTransaction();
    await producer.send(message(topic, "committed"), commit);
    const rollback = producer.beginTransaction();
    await producer.send(message(topic, "rolled back"), rollback);
    await rollback.rollback();
    await commit.commit();
    equal("messages", ["committed"], bodies(await receive(consumer, 1)));
    equal("nothing more", 0, (await consumer.receive(16, 10_000)).length);
  },

  async "transaction-check"(ctx) {
    const topic = ctx.name("tx");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    const checked = new Set();
    const producer = await ctx.producer(topic, async (view) => {
      const body = view.body.toString();
      checked.add(body);
      return body === "commit me" ? RESOLUTION.COMMIT : RESOLUTION.ROLLBACK;
    });
    for (const body of ["commit me", "roll me back"]) {
      await producer.send(message(topic, body), producer.beginTransaction());
    }
    await waitFor("both are checked", () => checked.size === 2, 60_000);
    equal("messages", ["commit me"], bodies(await receive(consumer, 1)));
    equal("nothing more", 0, (await consumer.receive(16, 10_000)).length);
  },

  async "simple-redelivery"(ctx) {
    const topic = ctx.name("normal");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    await (await ctx.producer(topic)).send(message(topic, "again"));
    const one = await first(consumer, 10_000);
    const begin = Date.now();
    const two = await first(consumer, 30_000);
    const waited = Date.now() - begin;
    check(`came back after ${waited} ms`, waited > 8_000 && waited < 25_000);
    equal("attempt", 2, two.deliveryAttempt);
    equal("id", one.messageId, two.messageId);
    await consumer.ack(two);
    equal("after the acknowledgement", 0, (await consumer.receive(16, 10_000)).length);
  },

  async "simple-change-invisible"(ctx) {
    const topic = ctx.name("normal");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    await (await ctx.producer(topic)).send(message(topic, "hidden"));
    const one = await first(consumer, 60_000);
    const begin = Date.now();
    await consumer.changeInvisibleDuration(one, 5_000);
    const again = await first(consumer, 60_000);
    const waited = Date.now() - begin;
    check(`came back after ${waited} ms`, waited > 4_000 && waited < 20_000);
    equal("attempt", 2, again.deliveryAttempt);
    await consumer.ack(again);
    equal("nothing more", 0, (await consumer.receive(16, 10_000)).length);
  },

  /** Several of each queue, so that most do not stand first in their pop: what their new handles acknowledge stays away. */
  async "simple-ack-changed"(ctx) {
    const topic = ctx.name("normal");
    const consumer = await ctx.simple(ctx.name("g"), topic);
    await consumer.receive(1, 10_000);
    const producer = await ctx.producer(topic);
    for (let i = 0; i < 12; i++) await producer.send(message(topic, `body ${i}`));
    const got = [];
    for (const end = Date.now() + DELIVERY_MS; got.length < 12 && Date.now() < end; ) {
      got.push(...(await consumer.receive(32, 60_000)));
    }
    for (const each of got) {
      await consumer.changeInvisibleDuration(each, 8_000);
      await consumer.ack(each);
    }
    equal("received", 12, got.length);
    for (let polls = 0; polls < 3; polls++) equal("nothing more", 0, (await consumer.receive(32, 60_000)).length);
  },

  async "filter-tag"(ctx) {
    const topic = ctx.name("normal");
    const consumer = await ctx.simple(ctx.name("g"), topic, new FilterExpression("red || blue", TAG));
    await consumer.receive(1, 10_000);
    const producer = await ctx.producer(topic);
    for (const tag of ["red", "green", "blue", "BaB", "red"]) await producer.send(message(topic, tag, { tag }));
    await producer.send(message(topic, "no tag"));
    equal("messages", ["blue", "red", "red"], bodies(await receive(consumer, 3)).sort());
    equal("nothing more", 0, (await consumer.receive(16, 10_000)).length);
  },

  async "filter-sql"(ctx) {
    const topic = ctx.name("normal");
    const filter = new FilterExpression("size > 3 AND colour IN ('red', 'blue')", SQL);
    const consumer = await ctx.simple(ctx.name("g"), topic, filter);
    await consumer.receive(1, 10_000);
    const producer = await ctx.producer(topic);
    for (const colour of ["red", "green", "blue"]) {
      for (const size of ["1", "5"]) {
        const properties = new Map([
          ["colour", colour],
          ["size", size],
        ]);
        await producer.send(message(topic, colour + size, { properties }));
      }
    }
    equal("messages", ["blue5", "red5"], bodies(await receive(consumer, 2)).sort());
    equal("nothing more", 0, (await consumer.receive(16, 10_000)).length);
  },

  async push(ctx) {
    const topic = ctx.name("normal");
    const probes = [];
    const got = [];
    await ctx.push(ctx.name("g"), topic, (view) => {
      if (!isProbe(view, probes)) got.push(view.body.toString());
      return ConsumeResult.SUCCESS;
    });
    const producer = await ctx.producer(topic);
    await settle(producer, topic, probes);
    for (let i = 0; i < 200; i++) await producer.send(message(topic, `body ${i}`));
    await waitFor("200 messages", () => new Set(got).size === 200);
    await sleep(2_000);
    equal("deliveries", 200, got.length);
  },

  /** How long a message waits for a consumer that starts: one that is there already, the next one, one for a group that is new. */
  async "push-first"(ctx) {
    const [topic, group] = [ctx.name("normal"), ctx.name("g")];
    const settler = await ctx.simple(group, topic);
    await settler.receive(1, 10_000);
    await settler.shutdown();
    const producer = await ctx.producer(topic);
    await producer.send(message(topic, "first"));
    const seen = new Map();
    let begin = Date.now();
    await ctx.push(group, topic, (view) => {
      const body = view.body.toString();
      if (!seen.has(body)) seen.set(body, Date.now());
      return ConsumeResult.SUCCESS;
    });
    ctx.times.start = Date.now() - begin;
    await waitFor("the first message", () => seen.has("first"), 60_000);
    ctx.times.first = seen.get("first") - begin;
    const sent = Date.now();
    await producer.send(message(topic, "next"));
    await waitFor("the next message", () => seen.has("next"), 60_000);
    ctx.times.next = seen.get("next") - sent;

    let fresh;
    begin = Date.now();
    await ctx.push(ctx.name("fresh"), topic, () => {
      fresh ??= Date.now();
      return ConsumeResult.SUCCESS;
    });
    for (let i = 0; fresh === undefined; i++) {
      check("a new group sees nothing", i < 600);
      await producer.send(message(topic, `probe ${i}`));
      await sleep(100);
    }
    ctx.times.fresh = fresh - begin;
  },

  async "push-retry"(ctx) {
    const topic = ctx.name("normal");
    const probes = [];
    const attempts = [];
    await ctx.push(ctx.name("g"), topic, (view) => {
      if (isProbe(view, probes) || attempts.push(view.deliveryAttempt) >= 3) return ConsumeResult.SUCCESS;
      return ConsumeResult.FAILURE;
    });
    const producer = await ctx.producer(topic);
    await settle(producer, topic, probes);
    await producer.send(message(topic, "hard"));
    await waitFor("three attempts", () => attempts.length >= 3, 60_000);
    await sleep(3_000);
    equal("attempts", [1, 2, 3], attempts);
  },

  async "push-dlq"(ctx) {
    const [topic, group] = [ctx.name("normal"), ctx.name("once")];
    const probes = [];
    const attempts = [];
    await ctx.push(group, topic, (view) => {
      if (isProbe(view, probes)) return ConsumeResult.SUCCESS;
      attempts.push(view.deliveryAttempt);
      return ConsumeResult.FAILURE;
    });
    const producer = await ctx.producer(topic);
    await settle(producer, topic, probes);
    await producer.send(message(topic, "hopeless"));
    await waitFor("two attempts", () => attempts.length >= 2, 60_000);
    equal("dead letters", ["hopeless"], await deadLetters(ctx, group, 1));
    equal("attempts", [1, 2], attempts);
  },

  async fifo(ctx) {
    const topic = ctx.name("fifo");
    const probes = [];
    const got = [];
    await ctx.push(ctx.name("order"), topic, (view) => {
      if (!isProbe(view, probes)) got.push([view.messageGroup, view.body.toString()]);
      return ConsumeResult.SUCCESS;
    });
    const producer = await ctx.producer(topic);
    await settle(producer, topic, probes, true);
    const sent = Array.from({ length: 70 }, (_, i) => [`group-${i % 7}`, `body ${i}`]);
    for (const [messageGroup, body] of sent) await producer.send(message(topic, body, { messageGroup }));
    await waitFor("70 messages", () => got.length >= 70, 60_000);
    for (let i = 0; i < 7; i++) {
      const of = (pairs) => pairs.filter(([group]) => group === `group-${i}`);
      equal(`order of group-${i}`, of(sent), of(got));
    }
  },
};

function isProbe(view, probes) {
  const body = view.body.toString();
  if (!body.startsWith("probe")) return false;
  probes.push(body);
  return true;
}

/** Sends until the consumer has seen something, so that its group has a place in every queue. */
async function settle(producer, topic, probes, ordered = false) {
  const begin = Date.now();
  for (let i = 0; probes.length === 0; i++) {
    check("the consumer sees nothing", Date.now() - begin < 2 * DELIVERY_MS);
    await producer.send(message(topic, `probe ${i}`, ordered ? { messageGroup: `probe ${i}` } : {}));
    await sleep(500);
  }
}

async function deadLetters(ctx, group, count) {
  const end = Date.now() + 60_000;
  for (;;) {
    try {
      return bodies(await receive(await ctx.simple(ctx.name("reader"), `%DLQ%${group}`), count));
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(500);
    }
  }
}

async function one(name, ctx) {
  const begin = Date.now();
  let failure = "";
  const late = sleep(150_000).then(() => {
    throw new Error("not finished after 150 s");
  });
  late.catch(() => {});
  try {
    await Promise.race([scenarios[name](ctx), late]);
  } catch (error) {
    const where = /scenarios\.mjs:\d+/.exec(error.stack ?? "")?.[0] ?? "";
    failure = `${error.message} ${where}`.trim();
  }
  const result = {
    scenario: name,
    ok: failure === "",
    detail: failure,
    ms: Date.now() - begin,
    facts: ctx.facts,
    times: ctx.times,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  void ctx.close();
}

// The client throws into timers and streams; a scenario that suffers from it fails by itself.
process.on("uncaughtException", (error) => console.error(error));
process.on("unhandledRejection", (error) => console.error(error));

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: "boolean" },
    endpoints: { type: "string" },
    run: { type: "string" },
    parallel: { type: "string", default: "1" },
  },
});
if (options.list) process.stdout.write(`${Object.keys(scenarios).join("\n")}\n`);
else {
  const left = [...names];
  const lane = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      await one(name, new Ctx(options.endpoints, options.run, name));
    }
  };
  await Promise.all(Array.from({ length: Number(options.parallel) }, lane));
}
// Clients that take long to stop must not keep the runner waiting.
process.stdout.write("", () => process.exit(0));
