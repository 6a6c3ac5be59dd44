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

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { RULED, STRICTER } from "../../dist/auth/accessRules.js";
import { RequestCode } from "../../dist/protocol/generated/requestCodes.js";
import { RawClient } from "../chaos/lib/client.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, goClient, Missing, WORK } from "../lib/build.mjs";
import { freePorts } from "../lib/ports.mjs";
import { runClient } from "../lib/session.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { makeUsers, ROOT, SETTINGS, signed, user } from "./lib.mjs";

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
const CLIENT_LIMIT_MS = 150_000;
const COMERS_JAVA = fileURLToPath(new URL("src/Comers.java", import.meta.url));

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

/** What the official client is told, line by line. */
async function clientsOf({ namesrvAddr }, root, dir, lib) {
  const fields = { topic: "Orders", ...NEEDED.UPDATE_AND_CREATE_TOPIC };
  const made = await root.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, signed(fields, undefined, ROOT));
  if (made.code !== 0) throw new Error(`Orders: ${made.code} ${made.remark}`);
  const comers = [user("app"), { accessKey: "app", secretKey: "wrong" }, user("ghost"), user("reader")];
  const args = [
    ...["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", `-Duser.home=${dir}`],
    ...["-Drocketmq.client.logUseSlf4j=false", "-Djava.net.preferIPv4Stack=true"],
    ...["-cp", [tempDir, join(lib, "*")].join(":"), "Comers", namesrvAddr, "Orders", "OrdersGroup"],
    ...comers.flatMap(({ accessKey, secretKey }) => [accessKey, secretKey]),
  ];
  const { stdout } = await promisify(execFile)("java", args, { timeout: CLIENT_LIMIT_MS });
  const lines = stdout.split("\n").filter((line) => line.startsWith("> "));
  return new Map(
    lines.map((line) => `Java client, ${line.slice(2)}`.split(/: (.*)/)).map(([what, outcome]) => [what, outcome]),
  );
}

/** Whether the Go client does as it should, with credentials and with a wrong password; "as wanted" or why not. */
async function goOf(server, kind) {
  const outcomes = new Map();
  const client = goClient();
  for (const secretKey of [ROOT.secretKey, "wrong"]) {
    const isRight = secretKey === ROOT.secretKey;
    const names = isRight ? GO_SCENARIOS : GO_SCENARIOS.slice(0, 1);
    const keys = { ROCKETMQ_ACCESS_KEY: ROOT.accessKey, ROCKETMQ_SECRET_KEY: secretKey };
    const signing = { ...client, id: "go-2.1.2", env: (home) => ({ ...client.env(home), ...keys }) };
    const logDir = join(WORK, "logs", "auth", kind);
    const run = { client: signing, parts: [{ names, server }], parallel: 3, home: join(logDir, secretKey), logDir };
    const results = await runClient({ ...run, runId: `${kind[0]}${secretKey.length}` });
    for (const [name, [{ ok, detail }]] of results) {
      const what = `Go client, ${name}${isRight ? "" : " with a wrong password"}`;
      outcomes.set(what, ok === isRight ? "as wanted" : `ok ${ok} ${detail}`);
    }
  }
  return outcomes;
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
        answers.set(`${row.name} | ${comer}`, answer);
      }
    }
    const java = await clientsOf(server, root, dir, lib);
    const go = withGo ? await goOf(server, name) : new Map();
    return { answers, clients: new Map([...java, ...go]) };
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
function reasonFor(row, comer, apache, skylark) {
  if (comer === "unknown user" && apache === "16 User:ghost is not found." && skylark === "16 check signature failed.")
    return "nobody learns which users there are";
  // Signed with the right password it is told, otherwise not.
  if (STRICTER.has(row.name.split(" ")[0]) && apache === "let through" && /no permission to access/.test(skylark))
    return "Apache asks for no right";
  return undefined;
}

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED auth: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
execFileSync("javac", ["-nowarn", "-cp", join(lib, "*"), "-d", tempDir, COMERS_JAVA], {
  stdio: ["ignore", 2, "ignore"],
});
const apache = await answersOf("apache", "apache", BASE_PORT, lib);
const other = await answersOf(self ? "apache" : "skylark", "other", BASE_PORT + 100, lib);
let passed = 0;
let failed = 0;
const declared = new Map();
for (const row of ROWS) {
  const differences = [];
  for (const [comer] of COMERS) {
    const key = `${row.name} | ${comer}`;
    const [a, b] = [apache.answers.get(key), other.answers.get(key)];
    if (show) console.log(`${key}: ${a}${a === b ? "" : `  <>  ${b}`}`);
    if (a === b) continue;
    const reason = reasonFor(row, comer, a, b);
    if (reason === undefined) differences.push(`${comer}: Apache ${a}, other ${b}`);
    else declared.set(reason, (declared.get(reason) ?? 0) + 1);
  }
  if (differences.length === 0) passed++;
  else {
    failed++;
    console.log(`FAILED  ${row.name}\n    ${differences.join("\n    ")}`);
  }
}
/** A client's outcome without addresses, and with the one difference that is meant. */
const told = (outcome) =>
  outcome
    ?.replaceAll(/\d+(\.\d+){3}:\d+/g, "<address>")
    .replaceAll("User:ghost is not found.", "check signature failed.");
const steps = new Set([...apache.clients.keys(), ...other.clients.keys()]);
for (const step of steps) {
  const [a, b] = [told(apache.clients.get(step)), told(other.clients.get(step))];
  const ok = a === b && (!step.startsWith("Go ") || a === "as wanted");
  if (ok) passed++;
  else failed++;
  console.log(`${ok ? "passed" : "FAILED"}  ${step}: ${a}${a === b ? "" : `, other ${b}`}`);
}
if (steps.size === 0) failed++;
rmSync(tempDir, { recursive: true, force: true });
console.log(
  `${ROWS.length} requests by ${COMERS.length} comers; declared differences: ${JSON.stringify(Object.fromEntries(declared))}`,
);
console.log(`auth: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
