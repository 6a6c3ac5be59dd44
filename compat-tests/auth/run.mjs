// Who may do what: every request code that brokers answer, asked by everybody there can be, of Apache 5.5.0 and of Skylark.
//
//   node compat-tests/auth/run.mjs [--self] [--show] [--go]
//
// First five comers for each code: nobody, an unknown user, a known user with a wrong signature, a user without rights, the super user. Then
// one user for each kind of resource and each action, who may do just that with all resources of that kind: together they show what exactly
// a code asks for. Code and remark of each refusal are compared; a request that is let through only has to be let through by both,
// what it is answered then is the other suites' matter. `--self` runs Apache twice: what then differs is this suite's own fault.
// Last, the official Java client with credentials (src/Comers.java): what it is answered and what it receives. With
// --go, the classic Go client runs a few scenarios with credentials, and one with a wrong password.
// Rows where Skylark asks for more, on purpose, stand in src/auth/accessRules.ts; there Apache must let everybody through.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RULED, STRICTER } from "../../dist/auth/accessRules.js";
import { RequestCode } from "../../dist/protocol/generated/requestCodes.js";
import { RawClient } from "../chaos/lib/client.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { freePorts } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { compileComers, goComers, runComers } from "./comers.mjs";
import { compare, jarsOrSkip, keyOf, makeUsers, ROOT, SETTINGS, signed, Tally, user, withoutGhost } from "./lib.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 400;
const show = process.argv.includes("--show");
const self = process.argv.includes("--self");
const withGo = process.argv.includes("--go");
/** The Go client's admin does not sign when it creates topics; and so both kinds of whitelists are seen to act. */
const GO_SETTINGS = { authenticationWhitelist: "17", authorizationWhitelist: "17" };
const GO_SCENARIOS = ["send-sync", "push-cluster", "transaction-ends"];
const tempDir = mkdtempSync(join(tmpdir(), "skylark-auth-"));
const NO_PERMISSION = 16;
const LIMIT_MS = 10_000;

const ACTIONS = ["Pub", "Sub", "Create", "Update", "Delete", "Get", "List"];
const KINDS = ["Topic", "Group", "Cluster"];

/** Names in every field that any header has for them; headers pass over what is not theirs. */
const FIELDS = {
  topic: "T",
  b: "T",
  a: "G",
  group: "G",
  consumerGroup: "G",
  groupName: "G",
  destGroup: "G",
  srcGroup: "H",
  compareGroup: "G",
  filterGroups: "G,H",
  topicList: "T;U",
  clusterName: "DefaultCluster",
  brokerName: "broker-a",
  username: "nobody",
  subject: "User:nobody",
};
const QUEUE = { topic: "T", brokerName: "broker-a", queueId: 0 };
/** Bodies where a code reads names from them. */
const BODIES = {
  HEART_BEAT: {
    clientID: "c",
    producerDataSet: [{ groupName: "P" }],
    consumerDataSet: [
      {
        groupName: "G",
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        subscriptionDataSet: [
          { topic: "%RETRY%G", subString: "*" },
          { topic: "T", subString: "*" },
        ],
      },
    ],
  },
  LOCK_BATCH_MQ: { consumerGroup: "G", clientId: "c", mqSet: [QUEUE, { ...QUEUE, topic: "%RETRY%G" }] },
  UNLOCK_BATCH_MQ: { consumerGroup: "G", clientId: "c", mqSet: [QUEUE] },
  BATCH_ACK_MESSAGE: {
    brokerName: "broker-a",
    acks: [{ c: "G", t: "T", r: "0", so: 0, q: 0, rq: 0, pt: 1, it: 1, b: "" }],
  },
  LITE_SUBSCRIPTION_CTL: {
    subscriptionSet: [{ action: "PARTIAL_ADD", clientId: "c", group: "G", topic: "T", liteTopicSet: [], version: 1 }],
  },
  QUERY_ASSIGNMENT: { topic: "T", consumerGroup: "G", clientId: "c", strategyName: "AVG", messageModel: "CLUSTERING" },
  SET_MESSAGE_REQUEST_MODE: { topic: "T", consumerGroup: "G", mode: "PULL", popShareQueueNum: 0 },
  UPDATE_AND_CREATE_TOPIC_LIST: { topicConfigList: [{ topicName: "T", readQueueNums: 1, writeQueueNums: 1, perm: 6 }] },
  UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: { groupName: "G" },
  UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST: { groupConfigList: [{ groupName: "G" }] },
  AUTH_CREATE_USER: { password: "p" },
  AUTH_UPDATE_USER: { password: "p" },
};
/** More of a row: what its names are when they are a retry topic's. */
const VARIANTS = [
  ["SEND_MESSAGE", { topic: "%RETRY%G" }],
  ["SEND_MESSAGE_V2", { b: "%RETRY%G" }],
  ["PULL_MESSAGE", { topic: "%RETRY%G" }],
  ["POP_MESSAGE", { topic: "%RETRY%G" }],
  ["QUERY_CONSUMER_OFFSET", { topic: "%RETRY%G" }],
  ["UPDATE_CONSUMER_OFFSET", { topic: "%RETRY%G" }],
  ["GET_CONSUME_STATS", { topic: "%RETRY%G" }],
  ["END_TRANSACTION", { topic: "" }],
  ["UNREGISTER_CLIENT", { consumerGroup: "" }],
];

/** What a header must have before Apache looks at its names. */
const NEEDED = {
  UPDATE_AND_CREATE_TOPIC: {
    defaultTopic: "TBW102",
    readQueueNums: 1,
    writeQueueNums: 1,
    perm: 6,
    topicFilterType: "SINGLE_TAG",
    order: false,
  },
};

const ROWS = RULED.map((name) => ({
  name,
  code: RequestCode[name],
  ext: { ...FIELDS, ...NEEDED[name] },
  body: bodyOf(name),
}));
for (const [name, ext] of VARIANTS) {
  ROWS.push({
    name: `${name} ${JSON.stringify(ext)}`,
    code: RequestCode[name],
    ext: { ...FIELDS, ...ext },
    body: bodyOf(name),
  });
}

function bodyOf(name) {
  const body = BODIES[name];
  return body === undefined ? undefined : Buffer.from(JSON.stringify(body));
}

const COMERS = [
  ["nobody", undefined],
  ["unknown user", user("ghost")],
  ["wrong signature", { accessKey: ROOT.accessKey, secretKey: "wrong" }],
  ["disabled user", user("disabled")],
  ["no rights", user("powerless")],
  ["super user", ROOT],
  ["all by name", user("literal")],
  ["all by prefix", user("prefix")],
  ["denied", user("denied")],
  ["from elsewhere", user("elsewhere")],
  ["from here", user("here")],
  ["everything", user("everything")],
  ...KINDS.flatMap((kind) => ACTIONS.map((action) => [`${kind} ${action}`, user(`${kind}-${action}`)])),
];
const every = (resources, more = {}) =>
  resources.map((resource) => ({ resource, actions: ["All"], decision: "Allow", ...more }));
const NAMED = ["Topic:T", "Topic:U", "Group:G", "Group:H", "Cluster:DefaultCluster"];
const RIGHTS = {
  literal: every(NAMED),
  prefix: [
    ...every(["Topic:*", "Group:*", "Cluster:*"], { decision: "Deny" }),
    ...every(["Topic:T*", "Topic:U*", "Group:G*", "Group:H*", "Cluster:Default*"]),
  ],
  denied: [...every(["*"]), ...every(NAMED, { decision: "Deny" })],
  elsewhere: every(["*"], { sourceIps: ["10.0.0.0/8", "::1"] }),
  here: every(["*"], { sourceIps: ["10.0.0.1", "127.0.0.0/30"] }),
  everything: every(["*"]),
  app: [
    { resource: "Topic:Orders", actions: ["Pub", "Sub"], decision: "Allow" },
    { resource: "Group:OrdersGroup", actions: ["Sub"], decision: "Allow" },
  ],
  reader: [{ resource: "Topic:Orders", actions: ["Sub"], decision: "Allow" }],
  ...Object.fromEntries(
    KINDS.flatMap((kind) =>
      ACTIONS.map((action) => [`${kind}-${action}`, [{ resource: `${kind}:*`, actions: [action], decision: "Allow" }]]),
    ),
  ),
};

/** What the official clients are told, line by line. */
async function clientsOf(server, root, dir, lib) {
  const fields = { topic: "Orders", ...NEEDED.UPDATE_AND_CREATE_TOPIC };
  const made = await root.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, signed(fields, undefined, ROOT));
  if (made.code !== 0) throw new Error(`Orders: ${made.code} ${made.remark}`);
  const comers = [user("app"), { accessKey: "app", secretKey: "wrong" }, user("ghost"), user("reader")];
  const java = await runComers(server.namesrvAddr, { lib, classes: tempDir, home: dir, comers });
  return new Map([...java, ...(withGo ? await goComers(server, GO_SCENARIOS) : [])]);
}

async function answersOf(kind, name, basePort, lib) {
  const dir = join(tempDir, name);
  mkdirSync(dir, { recursive: true });
  const { namesrvPort, brokerPort } = await freePorts(basePort);
  const settings = { ...SETTINGS, ...(withGo ? GO_SETTINGS : {}) };
  const common = { dir, namesrvPort, brokerPort, settings };
  const server =
    kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer({ ...common, layout: "split" });
  await server.start();
  const clients = new Map();
  try {
    const root = await RawClient.open({ port: brokerPort });
    clients.set("root", root);
    await makeUsers(root, RIGHTS);
    const answers = new Map();
    for (const [comer, credentials] of COMERS) {
      const client = await RawClient.open({ port: brokerPort });
      clients.set(comer, client);
      for (const row of ROWS) {
        const ext = credentials === undefined ? row.ext : signed(row.ext, row.body, credentials);
        const answer = await client
          .ask(row.code, ext, row.body, { timeoutMs: LIMIT_MS })
          .then(({ code, remark }) => (isRefusal(code, remark) ? `${code} ${remark}` : "let through"))
          .catch((error) => `no answer: ${error.message}`);
        answers.set(keyOf(row.name, comer), answer);
      }
    }
    return { answers, clients: await clientsOf(server, root, dir, lib) };
  } finally {
    for (const client of clients.values()) client.destroy();
    await server.stopGracefully();
  }
}

const OWN_WORDS =
  /no permission to access|check signature|is not found|is disabled|username cannot|Authorization failed|authorization context/;

function isRefusal(code, remark) {
  return code === NO_PERMISSION && OWN_WORDS.test(remark ?? "");
}

/** Why an answer may differ; undefined: it may not. */
function reasonFor(what, apache, skylark) {
  // Signed with the right password it is told, otherwise not.
  return STRICTER.has(what.split(" ")[0]) && apache === "let through" && /no permission to access/.test(skylark)
    ? "Apache asks for no right"
    : undefined;
}

const lib = jarsOrSkip("auth");
compileComers(lib, tempDir);
// Each is slow to start and then mostly waits for the other's turn: beside each other they take little longer than one.
const [apache, other] = await Promise.all([
  answersOf("apache", "apache", BASE_PORT, lib),
  answersOf(self ? "apache" : "skylark", "other", BASE_PORT + 100, lib),
]);
const tally = new Tally();
compare(
  tally,
  {
    asked: ROWS.map(({ name }) => name),
    comers: COMERS.map(([comer]) => comer),
    apache: apache.answers,
    other: other.answers,
    show,
  },
  reasonFor,
);
/** A client's outcome without addresses, and with the one difference that is meant. */
const told = (outcome) => withoutGhost(outcome?.replaceAll(/\d+(\.\d+){3}:\d+/g, "<address>"));
const steps = new Set([...apache.clients.keys(), ...other.clients.keys()]);
for (const step of steps) {
  const [a, b] = [told(apache.clients.get(step)), told(other.clients.get(step))];
  const ok = a === b && (!step.startsWith("Go ") || a === "as wanted");
  tally.check(step, ok, `${a}${a === b ? "" : `, other ${b}`}`);
}
if (steps.size === 0) tally.check("the official client said something", false);
rmSync(tempDir, { recursive: true, force: true });
tally.end("auth");
