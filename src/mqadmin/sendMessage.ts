/** sendMessage, and sending as such (Apache: SendMessageCommand, DefaultMQProducerImpl). */
import { Buffer } from "node:buffer";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { isNotAllowedToSend, topicNameProblem } from "../broker/names.ts";
import { formatProperties, Property } from "../message/properties.ts";
import { newUniqueKey } from "../message/uniqueKey.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";
import { PERM_WRITE } from "../protocol/bodies/topicConfig.ts";
import type { TopicRouteData } from "../protocol/bodies/topicRoute.ts";
import type { Answer } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { type Admin, failureOf } from "./admin.ts";
import type { Command } from "./command.ts";
import { optional, required } from "./commandLine.ts";
import { clientError, clientErrorWithHint, clientFailure, isBrokerFailure, parseLong } from "./failures.ts";
import { format } from "./format.ts";

const AUTO_CREATE_TOPIC = "TBW102";
/** Queues of a topic that a send creates. */
const DEFAULT_QUEUES = 4;
const ATTEMPTS = 3;
const SEND_TIMEOUT_MS = 3_000;
const BODY_BYTES_MAX = 4 * 1024 * 1024;
const MASTER_ID = 0;
const LEGAL_NAME = "^[%|a-zA-Z0-9_-]+$";
/** Another attempt may succeed (DefaultMQProducer.retryResponseCodes). */
const RETRY_CODES: ReadonlySet<number | undefined> = new Set([
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.NO_PERMISSION,
  ResponseCode.NO_BUYER_ID,
  ResponseCode.NOT_IN_CURRENT_UNIT,
]);
const STATUSES: ReadonlyMap<number, string> = new Map([
  [ResponseCode.SUCCESS, "SEND_OK"],
  [ResponseCode.FLUSH_DISK_TIMEOUT, "FLUSH_DISK_TIMEOUT"],
  [ResponseCode.FLUSH_SLAVE_TIMEOUT, "FLUSH_SLAVE_TIMEOUT"],
  [ResponseCode.SLAVE_NOT_AVAILABLE, "SLAVE_NOT_AVAILABLE"],
]);

export interface Outgoing {
  /** Producer group. */
  group: string;
  topic: string;
  body: Buffer;
  properties: Map<string, string>;
  flag: number;
}

export interface Sent {
  brokerName: string;
  queueId: number;
  status: string;
  id: string;
  offsetId: string;
  queueOffset: number;
  recallHandle: string | undefined;
}

/** Sends to the given queue, or to any writable one with two more attempts. @throws JavaFailure */
export async function send(admin: Admin, message: Outgoing, queue?: MessageQueue): Promise<Sent> {
  check(message);
  if (!message.properties.has(Property.UNIQUE_KEY)) {
    message.properties.set(Property.UNIQUE_KEY, newUniqueKey(systemClock.now(), systemRandom));
  }
  const { topic } = message;
  const own = await admin.routeIfAny(topic);
  if (queue !== undefined) {
    return sendTo(admin, message, queue, masterIn(own, queue.brokerName));
  }
  const route = own ?? asNewTopic(await admin.routeIfAny(AUTO_CREATE_TOPIC));
  const queues = writableQueues(topic, route);
  if (queues.length === 0) throw clientErrorWithHint(`No route info of this topic: ${topic}`);
  const began = systemClock.now();
  const tried: string[] = [];
  let failure: unknown;
  let next = systemRandom.int(queues.length);
  for (let i = 0; i < ATTEMPTS; i++) {
    const last = tried.at(-1);
    // Another broker than the last one, if there is one.
    for (let j = 0; j < queues.length && queues[next % queues.length].brokerName === last; j++) next++;
    const chosen = queues[next++ % queues.length];
    tried.push(chosen.brokerName);
    try {
      return await sendTo(admin, message, chosen, masterIn(route, chosen.brokerName));
    } catch (error) {
      if (isBrokerFailure(error) && !RETRY_CODES.has(error.code)) throw error;
      failure = error;
    }
  }
  const cost = systemClock.now() - began;
  throw clientErrorWithHint(
    `Send [${ATTEMPTS}] times, still failed, cost [${cost}]ms, Topic: ${topic}, BrokersSent: [${tried.join(", ")}]`,
    failure,
  );
}

/** What Apache's client refuses before anything is sent (Validators). */
function check({ topic, body }: Outgoing): void {
  if (topic.trim() === "") throw clientError("The specified topic is blank");
  if (topic.length > 127) throw clientError("The specified topic is longer than topic max length 127.");
  if (topicNameProblem(topic) !== undefined) {
    throw clientError(`The specified topic[${topic}] contains illegal characters, allowing only ${LEGAL_NAME}`);
  }
  if (isNotAllowedToSend(topic)) throw clientError(`Sending message to topic[${topic}] is forbidden.`);
  const refuse = (why: string) => clientFailure(ResponseCode.MESSAGE_ILLEGAL, why);
  if (body.length === 0) throw refuse("the message body length is zero");
  if (body.length > BODY_BYTES_MAX) throw refuse(`the message body size over max value, MAX: ${BODY_BYTES_MAX}`);
}

/** The queues that a topic would get from the one whose settings new topics inherit. */
function asNewTopic(route: TopicRouteData | undefined): TopicRouteData | undefined {
  for (const queue of route?.queueDatas ?? []) {
    queue.writeQueueNums = Math.min(DEFAULT_QUEUES, queue.readQueueNums);
  }
  return route;
}

function writableQueues(topic: string, route: TopicRouteData | undefined): MessageQueue[] {
  const queues: MessageQueue[] = [];
  for (const { brokerName, perm, writeQueueNums } of route?.queueDatas ?? []) {
    if ((perm & PERM_WRITE) === 0 || masterIn(route, brokerName) === undefined) continue;
    for (let queueId = 0; queueId < writeQueueNums; queueId++) queues.push({ topic, brokerName, queueId });
  }
  return queues;
}

function masterIn(route: TopicRouteData | undefined, brokerName: string): string | undefined {
  return route?.brokerDatas.find((broker) => broker.brokerName === brokerName)?.brokerAddrs.get(MASTER_ID);
}

async function sendTo(
  admin: Admin,
  message: Outgoing,
  { topic, brokerName, queueId }: MessageQueue,
  address: string | undefined,
): Promise<Sent> {
  if (address === undefined) throw clientError(`The broker[${brokerName}] not exist`);
  const header = {
    a: message.group,
    b: topic,
    c: AUTO_CREATE_TOPIC,
    d: DEFAULT_QUEUES,
    e: queueId,
    f: 0,
    g: systemClock.now(),
    h: message.flag,
    i: formatProperties(message.properties),
    j: 0,
    k: false,
    m: false,
    n: brokerName,
  };
  const answer: Answer = await admin.ask(address, "SEND_MESSAGE_V2", header, message.body, SEND_TIMEOUT_MS);
  const status = STATUSES.get(answer.code);
  if (status === undefined) throw failureOf(answer, "broker", address);
  return {
    brokerName,
    queueId: Number(answer.fields.get("queueId") ?? queueId),
    status,
    id: message.properties.get(Property.UNIQUE_KEY) as string,
    offsetId: answer.fields.get("msgId") ?? "",
    queueOffset: Number(answer.fields.get("queueOffset")),
    recallHandle: answer.fields.get("recallHandle"),
  };
}

export const sendMessage: Command = {
  name: "sendMessage",
  className: "SendMessageCommand",
  description: "Send a message.",
  bareFailure: true,
  options: [
    required("t", "topic", "Topic name"),
    required("p", "body", "UTF-8 string format of the message body"),
    optional("k", "key", "Message keys"),
    optional("c", "tags", "Message tags"),
    optional("b", "broker", "Send message to target broker"),
    optional("i", "qid", "Send message to target queue"),
    optional("m", "msgTraceEnable", "Message Trace Enable, Default: false"),
  ],
  async run({ admin, print, complain }, given) {
    const topic = given.must("t");
    const [keys, tags, brokerName] = [given.text("k"), given.text("c"), given.text("b")];
    if (given.has("i") && brokerName === undefined) {
      return print("Broker name must be set if the queue is chosen!");
    }
    const queueId = given.has("i") ? parseLong(given.must("i")) : -1;
    const properties = new Map<string, string>();
    if (tags) properties.set(Property.TAGS, tags);
    if (keys) properties.set(Property.KEYS, keys);
    properties.set(Property.WAIT_STORE_MSG_OK, "true");
    const sent = await send(
      admin,
      { group: String(systemClock.now()), topic, body: Buffer.from(given.must("p")), properties, flag: 0 },
      brokerName !== undefined && queueId > -1 ? { topic, brokerName, queueId } : undefined,
    );
    if (given.text("m")?.toLowerCase() === "true") {
      complain(new Error("the message is sent without a trace: only the official mqadmin writes one (-m)"));
    }
    const row = "%-32s  %-4s  %-20s    %s%n";
    print(format(row, "#Broker Name", "#QID", "#Send Result", "#MsgId"));
    print(format(row, sent.brokerName, sent.queueId, sent.status, sent.id));
  },
};
