// Who may do what on the 5.x protocol: every method that Apache's proxy has, called by everybody there can be, of Apache 5.5.0 (broker and
// proxy in one process) and of Skylark.
//
//   node compat-tests/auth/grpc.mjs [--proxy] [--show] [--clients]
//
// With --proxy both are a proxy of its own in front of its own brokers, which control access, too (Apache: cluster mode).
// With --clients the official clients of 5.x (Java, Go) run a few scenarios with credentials, and one of them with a wrong password.
// Code and words of each refusal are compared; a call that is let through only has to be let through by both.

import { createHmac } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RawClient } from "../chaos/lib/client.mjs";
import { runClient } from "../grpc/lib/clientRun.mjs";
import { CLIENTS } from "../grpc/lib/clients.mjs";
import { createResources } from "../grpc/lib/resources.mjs";
import { Rpc } from "../grpc/lib/rpc.mjs";
import { makeServer } from "../grpc/lib/servers.mjs";
import { WORK } from "../lib/build.mjs";
import { freePorts } from "../lib/ports.mjs";
import { compare, jarsOrSkip, keyOf, makeUsers, ROOT, SETTINGS, signed, Tally, user } from "./lib.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 600;
const show = process.argv.includes("--show");
const withProxy = process.argv.includes("--proxy");
/** Apache's first. */
const KINDS_OF_SERVERS = withProxy ? ["apache-cluster", "skylark-proxy"] : ["apache-local", "skylark"];
const UNAUTHORIZED = 40100;
const DATE = "20260101T000000Z";
const PRODUCER = 1;
const PUSH_CONSUMER = 2;
const LOG_DIR = join(WORK, "logs", "auth-grpc");
mkdirSync(LOG_DIR, { recursive: true });
/** What official clients did: [what, whether as wanted, detail]. */
const clientOutcomes = [];
const tempDir = mkdtempSync(join(tmpdir(), "skylark-auth-grpc-"));

/** What a proxy is told beyond broker.conf: it asks for users in its own process, or brokers with these credentials. */
const PROXY_SETTINGS = {
  authenticationEnabled: true,
  authorizationEnabled: true,
  authenticationMetadataProvider: "org.apache.rocketmq.proxy.auth.ProxyAuthenticationMetadataProvider",
  authorizationMetadataProvider: "org.apache.rocketmq.proxy.auth.ProxyAuthorizationMetadataProvider",
  ...(withProxy
    ? {
        enableAclRpcHookForClusterMode: true,
        innerClientAuthenticationCredentials: SETTINGS.innerClientAuthenticationCredentials,
      }
    : {}),
};

const topic = { name: "T" };
const group = { name: "G" };
const endpoints = { scheme: 1, addresses: [{ host: "127.0.0.1", port: 8081 }] };
const messageQueue = { topic, id: 0, broker: { name: "broker-a", endpoints } };
const message = { topic, body: Buffer.from("x"), systemProperties: { messageId: "01000000000000000000000000000000" } };
const subscription = { group, subscriptions: [{ topic, expression: { type: 1, expression: "*" } }] };

/** What is called with what; a stream's first answer counts. */
const CALLS = [
  ["QueryRoute", { topic, endpoints }],
  ["QueryRoute", { topic: { name: " " }, endpoints }, "without a topic"],
  ["QueryAssignment", { topic, group, endpoints }],
  ["Heartbeat", { clientType: PUSH_CONSUMER, group }, "of a consumer"],
  ["Heartbeat", { clientType: PRODUCER }, "of a producer"],
  ["NotifyClientTermination", { group }],
  ["SendMessage", { messages: [message] }],
  ["SendMessage", { messages: [] }, "of nothing"],
  ["EndTransaction", { topic, messageId: "m", transactionId: "t", resolution: 1 }],
  ["RecallMessage", { topic, recallHandle: "h" }],
  ["AckMessage", { group, topic, entries: [{ messageId: "m", receiptHandle: "h" }] }],
  ["ChangeInvisibleDuration", { group, topic, receiptHandle: "h", invisibleDuration: { seconds: 10, nanos: 0 } }],
  ["ForwardMessageToDeadLetterQueue", { group, topic, receiptHandle: "h", messageId: "m" }],
  ["ReceiveMessage", { group, messageQueue, batchSize: 1 }, "", "stream"],
  ["ReceiveMessage", { group, batchSize: 1 }, "without a queue", "stream"],
  ["Telemetry", { clientType: PRODUCER, publishing: { topics: [topic] } }, "of a producer", "telemetry"],
  ["Telemetry", { clientType: PUSH_CONSUMER, subscription }, "of a consumer", "telemetry"],
];

const KINDS = ["Topic", "Group"];
const ACTIONS = ["Pub", "Sub", "Get"];
const RIGHTS = {
  app: ["Topic:*", "Group:*"].map((resource) => ({ resource, actions: ["Pub", "Sub"], decision: "Allow" })),
  both: ["Topic:T", "Group:G"].map((resource) => ({ resource, actions: ["Pub", "Sub"], decision: "Allow" })),
  denied: [
    { resource: "*", actions: ["All"], decision: "Allow" },
    { resource: "Topic:T*", actions: ["All"], decision: "Deny" },
  ],
  elsewhere: [{ resource: "*", actions: ["All"], decision: "Allow", sourceIps: ["10.0.0.0/8"] }],
  ...Object.fromEntries(
    KINDS.flatMap((kind) =>
      ACTIONS.map((action) => [`${kind}-${action}`, [{ resource: `${kind}:*`, actions: [action], decision: "Allow" }]]),
    ),
  ),
};

/** The headers of a call by somebody. */
function headersOf({ accessKey, secretKey }, { upper = false, scope = "" } = {}) {
  const hex = createHmac("sha1", secretKey).update(DATE).digest("hex");
  const signature = upper ? hex.toUpperCase() : hex;
  return {
    "x-mq-date-time": DATE,
    authorization: `MQv2-HMAC-SHA1 Credential=${accessKey}${scope}, SignedHeaders=x-mq-date-time, Signature=${signature}`,
  };
}

const root = headersOf(ROOT);
const COMERS = [
  ["nobody", {}],
  ["undated", { authorization: root.authorization }],
  ["no header at all", { ...root, authorization: "x" }],
  ["a header without pairs", { ...root, authorization: "MQv2-HMAC-SHA1 Credential" }],
  ["a signature that is no hex", { ...root, authorization: `${root.authorization.slice(0, -2)}zz` }],
  ["a header without a name", { ...root, authorization: "MQv2-HMAC-SHA1 Signature=00" }],
  ["unknown user", headersOf(user("ghost"))],
  ["wrong signature", headersOf({ ...ROOT, secretKey: "wrong" })],
  ["disabled user", headersOf(user("disabled"))],
  ["no rights", headersOf(user("powerless"))],
  ["super user", root],
  ["super user of Go", headersOf(ROOT, { scope: "//Rocketmq" })],
  ["super user of Node", headersOf(ROOT, { upper: true })],
  ...Object.keys(RIGHTS).map((name) => [name, headersOf(user(name))]),
];

const nameOf = ([name, , what = ""]) => `${name} ${what}`.trim();

async function firstAnswer(rpc, [name, request, , kind]) {
  if (kind === undefined) return (await rpc.call(name, request)).status;
  if (kind === "stream") return (await rpc.stream(name, request)).find(({ status }) => status)?.status;
  return rpc.greet(request);
}

const withClients = process.argv.includes("--clients");
const CLIENT_IDS = ["java-5.2.0", "go-5.1.3"];
const SCENARIOS = ["send", "push", "transaction"];

/** Official clients against one server: each scenario must pass with credentials, and fail with a wrong password. */
async function clientsOf(server, place) {
  const outcomes = [];
  for (const client of CLIENTS.filter(({ id }) => CLIENT_IDS.includes(id))) {
    const variant = { ...(await client.prepare()), id: client.id, tls: false };
    for (const secretKey of [user("app").secretKey, "wrong"]) {
      const names = secretKey === "wrong" ? SCENARIOS.slice(0, 1) : SCENARIOS;
      const run = `${client.id.slice(0, 2)}${secretKey.length}`;
      await createResources(place.brokerPort, run, names, (ext, body) => signed(ext, body, ROOT));
      const env = { ...variant.env, ROCKETMQ_ACCESS_KEY: "app", ROCKETMQ_SECRET_KEY: secretKey };
      const results = await runClient({ ...variant, env }, server, names, run, { logDir: LOG_DIR, parallel: 3 });
      for (const [name, { ok, detail }] of results) {
        const wanted = secretKey !== "wrong";
        outcomes.push([
          `${server.kind}: ${client.id} ${name}${wanted ? "" : " with a wrong password"}`,
          ok === wanted,
          detail,
        ]);
      }
    }
  }
  return outcomes;
}

async function answersOf(kind, basePort, lib) {
  const dir = join(tempDir, kind);
  mkdirSync(dir, { recursive: true });
  const place = await freePorts(basePort);
  const server = makeServer(kind, { dir, ...place, lib, settings: SETTINGS, proxySettings: PROXY_SETTINGS });
  await server.start();
  try {
    const remoting = await RawClient.open({ port: place.brokerPort });
    await makeUsers(remoting, RIGHTS);
    remoting.destroy();
    const answers = new Map();
    for (const [comer, headers] of COMERS) {
      const rpc = new Rpc(`127.0.0.1:${server.grpcPort}`, `c-${comer.replaceAll(" ", "-")}`, {}, headers);
      for (const call of CALLS) {
        const answer = await firstAnswer(rpc, call)
          .then((status) => (status?.code === UNAUTHORIZED ? `${status.code} ${status.message}` : "let through"))
          .catch((error) => `let through (${error.code})`);
        answers.set(keyOf(nameOf(call), comer), answer.replace(/ \(\d+\)$/, ""));
      }
      rpc.close();
    }
    for (const outcome of withClients ? await clientsOf(server, place) : []) clientOutcomes.push(outcome);
    return answers;
  } finally {
    await server.stop();
  }
}

const lib = jarsOrSkip("auth of 5.x");
const [apache, skylark] = await Promise.all(
  KINDS_OF_SERVERS.map((kind, i) => answersOf(kind, BASE_PORT + i * 100, lib)),
);
const tally = new Tally();
const asked = CALLS.map(nameOf);
compare(tally, { asked, comers: COMERS.map(([comer]) => comer), apache, other: skylark, show });
for (const [what, ok, detail] of clientOutcomes) tally.check(what, ok, ok ? "" : detail);
rmSync(tempDir, { recursive: true, force: true });
tally.end(withProxy ? "auth of a proxy" : "auth of 5.x");
