// The same odd requests to Apache's proxy (local mode) and to Skylark: code and words of every answer are compared.
//
//   node compat-tests/grpc/answers.mjs [--count N] [--seed N]
//
// Requests are made at random from the protocol's own description, with names that exist most of the time; then calls that are none (lib/oddCalls.mjs).
// Answers that differ on purpose are declared; anything else that differs in its code is a failure, in its words a line of the report.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import protobuf from "protobufjs/light.js";
import { DESCRIPTOR } from "../../dist/grpc/generated/descriptor.js";
import { seeded } from "../chaos/lib/random.mjs";
import { apacheLibOrLeave } from "../lib/build.mjs";
import { Ports } from "../lib/ports.mjs";
import { Wire } from "./lib/crowd.mjs";
import { askOddCalls, ODD_CALLS, wantedOf } from "./lib/oddCalls.mjs";
import { awaitRoutes, createResources } from "./lib/resources.mjs";
import { Rpc } from "./lib/rpc.mjs";
import { nameOf } from "./lib/scenarios.mjs";
import { makeServer } from "./lib/servers.mjs";

const { values: options } = parseArgs({
  options: { count: { type: "string", default: "150" }, seed: { type: "string", default: "1" } },
});

const SIMPLE_CONSUMER = 3;
const PARALLEL = 8;
const RUN = "answers";
const SCENARIOS = ["send", "delay", "fifo", "transaction"];
const TOPICS = [
  nameOf(RUN, "send", "normal"),
  nameOf(RUN, "delay", "delay"),
  nameOf(RUN, "fifo", "fifo"),
  nameOf(RUN, "transaction", "tx"),
];
const GROUP = nameOf(RUN, "send", "g");
/** Those that Apache's proxy has, and that do not wait. */
const METHODS = [
  "QueryRoute",
  "QueryAssignment",
  "Heartbeat",
  "SendMessage",
  "EndTransaction",
  "RecallMessage",
  "AckMessage",
  "ChangeInvisibleDuration",
  "ForwardMessageToDeadLetterQueue",
];
/** What differs on purpose: Apache's answer (method, code, words), and why ours is another. */
const DECLARED = [
  {
    apache: /^Query\w+ 50001 .*ADDRESS_SCHEME_UNSPECIFIED/,
    because: "addresses are told as they were asked for; a scheme that is not named is no reason to fail",
  },
  {
    apache: /40002 cannot access system topic$/,
    because:
      "Apache's local mode takes topics named like the broker and the cluster for its own, its cluster mode does not",
  },
  {
    apache: /^Heartbeat 40003 group not found/,
    because: "autoCreateSubscriptionGroup holds for 5.x clients as it does for classic ones",
  },
  {
    apache: /^SendMessage 50001 .* not supported for batching/,
    because: "a message of the wrong type is refused for that, also in a batch",
  },
  {
    apache: /^SendMessage 20000 /,
    because: "each message of a batch has an entry in the answer; Apache's has one for all",
  },
  {
    apache: /^(AckMessage (50001|30000)|(ChangeInvisibleDuration|ForwardMessageToDeadLetterQueue) 50001 Parse failed)/,
    ours: /40013/,
    because:
      "a handle that cannot be read is INVALID_RECEIPT_HANDLE: every other answer push consumers repeat for ever",
  },
  {
    apache: /^(ChangeInvisibleDuration 50001 Duration|SendMessage 50001 (Duration|Timestamp)) is not valid/,
    because: "a time whose parts have different signs is what they add up to",
  },
  {
    apache: /^SendMessage 40014 .* expected type is UNSPECIFIED/,
    ours: /40402/,
    because: "a topic that does not exist is TOPIC_NOT_FOUND before anybody asks for its type",
  },
  {
    apache: /^ForwardMessageToDeadLetterQueue 50001 look message by offset failed/,
    ours: /40000/,
    because: "a handle that names another broker is not taken for one of this broker's, as in Apache's cluster mode",
  },
];

const root = protobuf.Root.fromJSON(DESCRIPTOR);

const HANDLE = `0 ${Date.now()} 3600000 0 0 broker-a 0 0 0`;
const USUAL = {
  topic: () => ({ name: TOPICS[0] }),
  group: () => ({ name: GROUP }),
  broker: () => ({ name: "broker-a" }),
  id: () => 0,
  receiptHandle: () => HANDLE,
  messageId: () => "0102030405060708090A0B0C0D0E0F1011",
  transactionId: () => "transaction",
  body: () => Buffer.from("body"),
  bornTimestamp: () => ({ seconds: 1_700_000_000 }),
  // What would make almost every message one of another type.
  messageGroup: (random) => (random(6) === 0 ? "g" : undefined),
  deliveryTimestamp: (random) => (random(6) === 0 ? { seconds: Math.floor(Date.now() / 1000) + 5 } : undefined),
  priority: () => undefined,
  userProperties: (random) => (random(4) === 0 ? { a: "b" } : {}),
};
const TEXTS = [
  "",
  " ",
  "a b",
  "x".repeat(300),
  "\u0001",
  "世界",
  "a || b",
  "*",
  "-1",
  "0 1 2 3 4 5 6 7 8",
  "TBW102",
  "%DLQ%nobody",
  "CID_RMQ_SYS_x",
  "broker-a",
  "POP_CK",
  "a|b",
  "djEgVG9waWMgYnJva2VyLWEgMSBpZA==",
  ...TOPICS,
  GROUP,
];
const NUMBERS = [0, 1, -1, 2, 33, 127, 1_000, 100_000];

function any(type, random, depth = 0) {
  const one = (list) => list[random(list.length)];
  const value = (field) => {
    field.resolve();
    if (field.resolvedType instanceof protobuf.Enum) return random(4);
    if (field.resolvedType instanceof protobuf.Type) return any(field.resolvedType, random, depth + 1);
    if (field.type === "string") return one(TEXTS);
    if (field.type === "bytes") return Buffer.alloc(one([0, 1, 100]), 65);
    if (field.type === "bool") return random(2) === 1;
    return one(NUMBERS);
  };
  const message = {};
  for (const field of type.fieldsArray) {
    // Light topics have their own tests.
    if (depth > 4 || random(10) === 0 || field.name === "liteTopic") continue;
    const usual = USUAL[field.name];
    const fits = usual !== undefined && (field.name !== "topic" || field.type === "Resource");
    if (fits && random(10) !== 0) {
      const chosen = usual(random);
      if (chosen !== undefined) message[field.name] = chosen;
    } else if (field.map) message[field.name] = { [one(TEXTS)]: one(TEXTS) };
    else if (field.repeated) message[field.name] = Array.from({ length: random(3) }, () => value(field));
    else message[field.name] = value(field);
  }
  return message;
}

function questions() {
  const random = seeded(Number(options.seed)).int;
  return METHODS.flatMap((method) => {
    const type = root.lookupType(`apache.rocketmq.v2.${method}Request`);
    return Array.from({ length: Number(options.count) }, () => ({ method, request: any(type, random) }));
  });
}

async function answersOf(kind, asked, lib) {
  const dir = mkdtempSync(join(tmpdir(), "skylark-grpc-answers-"));
  const server = makeServer(kind, { dir, ...(await ports.take()), lib });
  await server.start();
  try {
    await createResources(server.brokerPort, RUN, SCENARIOS);
    await awaitRoutes(server.namesrvPort, RUN, SCENARIOS);
    const address = `127.0.0.1:${server.grpcPort}`;
    const client = new Rpc(address, "answers");
    const subscriptions = [{ topic: { name: TOPICS[0] }, expression: { type: 1, expression: "*" } }];
    const stream = await client.telemetry({
      clientType: SIMPLE_CONSUMER,
      subscription: { group: { name: GROUP }, subscriptions },
    });
    stream.on("error", () => {});
    const answers = [];
    let next = 0;
    const worker = async () => {
      while (next < asked.length) {
        const at = next++;
        const { method, request } = asked[at];
        answers[at] = await client.call(method, request).then(
          ({ status, entries }) => ({
            code: String(status?.code ?? 0),
            words: status?.message ?? "",
            entries: (entries ?? []).map((entry) => entry.status?.code).join(),
          }),
          (error) => ({ code: `gRPC ${error.code}`, words: error.details, entries: "" }),
        );
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    client.close();
    const wire = new Wire(address, "odd");
    const odd = await askOddCalls(wire);
    wire.destroy();
    return { answers, odd };
  } finally {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

const ports = new Ports(Number(process.env.SKYLARK_COMPAT_PORT ?? 24_700));
const lib = apacheLibOrLeave("gRPC answers");
const asked = questions();
const theirs = await answersOf("apache-local", asked, lib);
const ours = await answersOf("skylark", asked);
const wavering = await askAgain();
let same = 0;
const failures = new Map();
const words = new Map();
const declared = new Map();
const note = (map, key, at) => map.set(key, [...(map.get(key) ?? []), at]);
for (const [at, { method }] of asked.entries()) {
  const [a, b] = [theirs.answers[at], ours.answers[at]];
  const why = reasonOf(method, a, b);
  if (codeOf(a) === codeOf(b)) {
    same++;
    if (plain(a.words) !== plain(b.words))
      note(words, `${method} ${codeOf(a)}: Apache "${a.words}", Skylark "${b.words}"`, at);
  } else if (why !== undefined) note(declared, `${method}: ${why}`, at);
  else note(failures, `${method}: Apache ${codeOf(a)} "${a.words}", Skylark ${codeOf(b)} "${b.words}"`, at);
}
for (const [at, call] of ODD_CALLS.entries()) {
  const [a, b] = [theirs.odd[at], ours.odd[at]];
  const wanted = wantedOf(call);
  const text = `call: ${call.what}: Apache ${a}, Skylark ${b}`;
  if (a !== wanted.theirs || b !== wanted.ours) note(failures, text, at);
  else if (a === b) same++;
  else note(declared, `${text}: ${call.because}`, at);
}

function codeOf({ code, entries }) {
  return entries === "" ? code : `${code} (${entries})`;
}

/** Why two answers may differ; undefined where they may not. */
function reasonOf(method, a, b) {
  return DECLARED.find(
    (each) =>
      each.apache.test(`${method} ${a.code} ${a.words}`) && (each.ours === undefined || each.ours.test(codeOf(b))),
  )?.because;
}

/**
 * Where the servers differ, Apache is asked once more: what it answers otherwise then wavers there, and its second answer counts.
 * @returns {Promise<number>} how many of its answers wavered
 */
async function askAgain() {
  const differs = (at) => {
    const [a, b] = [theirs.answers[at], ours.answers[at]];
    return codeOf(a) !== codeOf(b) && reasonOf(asked[at].method, a, b) === undefined;
  };
  const different = [...asked.keys()].filter(differs);
  if (different.length === 0) return 0;
  const { answers } = await answersOf("apache-local", asked, lib);
  const other = different.filter((at) => codeOf(answers[at]) !== codeOf(theirs.answers[at]));
  for (const at of other) {
    console.log(`flaky ${asked[at].method}: Apache ${codeOf(theirs.answers[at])}, then ${codeOf(answers[at])}`);
    theirs.answers[at] = answers[at];
  }
  return other.length;
}

/** Words without what Java's classes put around them. */
function plain(text) {
  return text
    .replace(/^(org\.apache\.rocketmq\.\S+Exception: |CODE: \d+ {2}DESC: )/, "")
    .replace(/\nFor more information, please visit the url, \S+$/, "");
}

const show = (title, map) => {
  for (const [key, list] of map) console.log(`${title} ${list.length} x ${key.replaceAll("\n", "\\n")}`);
};
show("words", words);
show("declared", declared);
for (const [key, list] of failures) {
  console.log(
    `FAILED ${list.length} x ${key.replaceAll("\n", "\\n")}\n    ${key.startsWith("call: ") ? "" : JSON.stringify(asked[list[0]].request).slice(0, 600)}`,
  );
}
const failed = [...failures.values()].reduce((sum, list) => sum + list.length, 0);
const on = [...declared.values()].reduce((sum, list) => sum + list.length, 0);
console.log(
  `gRPC answers: ${same + on} passed, ${failed} failed (${on} differ on purpose, Apache wavered in ${wavering}; seed ${options.seed})`,
);
process.exit(failed > 0 ? 1 : 0);
