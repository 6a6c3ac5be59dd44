// Receipt handles outlive kill -9: what was acknowledged stays away, handles that clients still hold acknowledge after the restart, what nobody
// acknowledged comes again, nothing is lost.
//
//   node compat-tests/grpc/kill9.mjs [--kills N] [--messages N] [--canary]
//
// --canary forgets one acknowledgement and one message in the books: the audit must then fail, and the exit code says whether it did.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Ports } from "../lib/ports.mjs";
import { createResources } from "./lib/resources.mjs";
import { Rpc } from "./lib/rpc.mjs";
import { nameOf } from "./lib/scenarios.mjs";
import { makeServer } from "./lib/servers.mjs";

const OK = 20_000;
const INVALID_RECEIPT_HANDLE = 40_013;
const SIMPLE_CONSUMER = 3;
const TAG = 1;
/** How long a message is hidden: longer than a kill and a restart take, shorter than anybody waits. */
const HIDDEN_SECONDS = 25;
const COMES_AGAIN_MS = (HIDDEN_SECONDS + 5) * 1000;
const QUIET_MS = 4 * HIDDEN_SECONDS * 1000;

const { values: options } = parseArgs({
  options: {
    kills: { type: "string", default: "1" },
    messages: { type: "string", default: "300" },
    canary: { type: "boolean", default: false },
  },
});

const ports = await new Ports(Number(process.env.SKYLARK_COMPAT_PORT ?? 24_600)).take();
const dir = mkdtempSync(join(tmpdir(), "skylark-grpc-kill9-"));
const server = makeServer("skylark", { dir, ...ports });
const run = `k${Date.now().toString(36).slice(-5)}`;
const [topic, group] = [nameOf(run, "send", "normal"), nameOf(run, "send", "g")].map((name) => ({ name }));
const address = `127.0.0.1:${server.grpcPort}`;

/** Ids of messages: sent; acknowledged (the server said OK); given since they were acknowledged. */
const sent = new Set();
const done = new Set();
const problems = [];
let deliveries = 0;

const rpc = () => new Rpc(address, `kill9-${run}`);

async function consumer() {
  const client = rpc();
  const subscriptions = [{ topic, expression: { type: TAG, expression: "*" } }];
  const stream = await client.telemetry({ clientType: SIMPLE_CONSUMER, subscription: { group, subscriptions } });
  stream.on("error", () => {});
  return client;
}

/** One receive: id and handle of each message. */
async function receive(client, batchSize) {
  const replies = await client.stream("ReceiveMessage", {
    group,
    messageQueue: { topic, id: -1, broker: { name: "broker-a" } },
    filterExpression: { type: TAG, expression: "*" },
    batchSize,
    invisibleDuration: { seconds: HIDDEN_SECONDS },
    longPollingTimeout: { seconds: 5 },
  });
  const got = replies.flatMap(({ message }) => {
    if (!message) return [];
    const { messageId, receiptHandle, deliveryAttempt } = message.systemProperties;
    return [{ messageId, receiptHandle, deliveryAttempt }];
  });
  deliveries += got.length;
  for (const { messageId, deliveryAttempt } of got) {
    if (done.has(messageId)) problems.push(`${messageId} came again at attempt ${deliveryAttempt}, acknowledged`);
    if (!sent.has(messageId)) problems.push(`${messageId} was never sent`);
  }
  return got;
}

async function ack(client, entries, wanted, what) {
  const reply = await client.call("AckMessage", { topic, group, entries });
  for (const { messageId, status } of reply.entries) {
    if (status.code === OK) done.add(messageId);
    if (status.code !== wanted) problems.push(`${what}: ${messageId} answered ${status.code} ${status.message}`);
  }
}

async function sendSome(client, count) {
  for (let i = 0; i < count; i++) {
    const messageId = `${run}-${sent.size}`;
    const message = { topic, body: Buffer.from(messageId), systemProperties: { messageId } };
    const { status } = await client.call("SendMessage", { messages: [message] });
    if (status.code === OK) sent.add(messageId);
    else problems.push(`send: ${status.code} ${status.message}`);
  }
}

async function hide(client, { messageId, receiptHandle }) {
  const invisibleDuration = { seconds: HIDDEN_SECONDS };
  const request = { topic, group, messageId, receiptHandle, invisibleDuration };
  const reply = await client.call("ChangeInvisibleDuration", request);
  if (reply.status.code !== OK) problems.push(`change: ${reply.status.code} ${reply.status.message}`);
  return { messageId, receiptHandle: reply.receiptHandle };
}

await server.start();
await createResources(ports.brokerPort, run, ["send"]);
let client = await consumer();
await receive(client, 1);
for (let kill = 0; kill < Number(options.kills); kill++) {
  await sendSome(client, Number(options.messages));
  const given = [];
  while (given.length < Number(options.messages) / 2) given.push(...(await receive(client, 32)));
  const [acked, kept, moved] = [0, 1, 2].map((third) => given.filter((_, i) => i % 4 === third));
  const hidden = [];
  for (const one of moved) hidden.push(await hide(client, one));
  await ack(client, acked, OK, "before the kill");
  await server.kill9();
  client.close();
  await server.start();
  client = await consumer();
  // The last quarter of what was given is left alone, and comes again.
  await ack(client, kept, OK, "a handle of before the kill");
  await ack(client, hidden, OK, "a handle changed before the kill");
  const expired = acked.slice(0, 1).map(({ messageId }) => ({ messageId, receiptHandle: expiredHandle(acked[0]) }));
  await ack(client, expired, INVALID_RECEIPT_HANDLE, "an expired handle");
}
if (options.canary) {
  done.add([...sent].find((id) => !done.has(id)));
  sent.add("never sent");
}
// Until everything came, and then for as long as anything could be hidden that comes again.
const limit = Date.now() + QUIET_MS;
let until = Date.now() + COMES_AGAIN_MS;
while (Date.now() < (sent.size > done.size ? limit : until)) {
  const got = await receive(client, 32);
  if (got.length === 0) continue;
  until = Date.now() + COMES_AGAIN_MS;
  await ack(client, got, OK, "at the end");
}
for (const id of sent) if (!done.has(id)) problems.push(`${id} never came`);
client.close();
await server.stop();
rmSync(dir, { recursive: true, force: true });

for (const problem of problems.slice(0, 20)) console.log(`  ${problem}`);
console.log(`sent ${sent.size}, deliveries ${deliveries}, kills ${options.kills}, problems ${problems.length}`);
const failed = options.canary ? problems.length < 2 : problems.length > 0;
console.log(`receipt handles after kill -9: ${failed ? 0 : 1} passed, ${failed ? 1 : 0} failed`);
process.exit(failed ? 1 : 0);

/** The same handle, popped a day ago. */
function expiredHandle({ receiptHandle }) {
  const parts = receiptHandle.split(" ");
  parts[1] = String(Number(parts[1]) - 86_400_000);
  return parts.join(" ");
}
