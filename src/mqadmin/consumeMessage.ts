/** consumeMessage: pulls and prints messages without being a consumer of their group (Apache: ConsumeMessageCommand). */
import { systemClock } from "../base/clock.ts";
import { Property } from "../message/properties.ts";
import { PULL_SUBSCRIPTION } from "../message/sysFlag.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";
import { PERM_READ } from "../protocol/bodies/topicConfig.ts";
import type { TopicRouteData } from "../protocol/bodies/topicRoute.ts";
import type { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { type Admin, failureOf, offsetIn } from "./admin.ts";
import type { Command, Context } from "./command.ts";
import { type Given, optional, required } from "./commandLine.ts";
import { clientError, clientErrorWithHint, JavaFailure, parseLong } from "./failures.ts";
import { format, hashOrder } from "./format.ts";
import { decodeMessages, describeMessage, type Message } from "./message.ts";
import { describeQueue, hashQueue } from "./queues.ts";
import { parseTime } from "./times.ts";

const TOOLS_GROUP = "TOOLS_CONSUMER";
const MESSAGES = 128;
const PULL_TIMEOUT_MS = 10_000;
const SUSPEND_MS = 20_000;
const MASTER_ID = 0;
const INT_MAX = 0x7fffffff;
const STATUSES: ReadonlyMap<number, string> = new Map([
  [ResponseCode.SUCCESS, "FOUND"],
  [ResponseCode.PULL_NOT_FOUND, "NO_NEW_MSG"],
  [ResponseCode.PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MSG"],
  [ResponseCode.PULL_OFFSET_MOVED, "OFFSET_ILLEGAL"],
]);

/** What is to be consumed; times are ms, 0 for none. */
interface Wanted {
  topic: string;
  group: string;
  count: number;
  begin: number;
  end: number;
}

export const consumeMessage: Command = {
  name: "consumeMessage",
  className: "ConsumeMessageCommand",
  description: "Consume message.",
  options: [
    required("t", "topic", "Topic name"),
    optional("b", "brokerName", "Broker name"),
    optional("i", "queueId", "Queue Id"),
    optional("o", "offset", "Queue offset"),
    optional("g", "consumerGroup", "Consumer group name"),
    optional("s", "beginTimestamp ", "Begin timestamp[currentTimeMillis|yyyy-MM-dd#HH:mm:ss:SSS]"),
    optional("e", "endTimestamp ", "End timestamp[currentTimeMillis|yyyy-MM-dd#HH:mm:ss:SSS]"),
    optional("c", "MessageNumber", "Number of message to be consumed"),
  ],
  async run(context, given) {
    const wanted = read(given);
    if (typeof wanted === "string") return context.print(wanted);
    try {
      const brokerName = given.text("b");
      const queueId = given.text("i");
      if (brokerName === undefined || queueId === undefined) await consumeAll(context, wanted);
      else {
        const queue = { topic: wanted.topic, brokerName, queueId: parseLong(queueId) };
        await consumeQueue(context, wanted, queue, given.has("o") ? parseLong(given.must("o")) : 0);
      }
    } catch (error) {
      context.complain(error);
    }
  },
};

/** The options, or what is wrong with them. */
function read(given: Given): Wanted | string {
  const count = given.has("c") ? parseLong(given.must("c")) : MESSAGES;
  if (count <= 0) return "Please input a positive messageNumber!";
  if (given.has("i") && !given.has("b")) return "Please set the brokerName before queueId!";
  if (given.has("o") && !given.has("i")) return "Please set queueId before offset!";
  if (given.has("o")) parseLong(given.must("o"));
  const now = systemClock.now();
  const begin = given.has("s") ? parseTime(given.must("s")) : 0;
  if (begin > now) return "Please set the beginTimestamp before now!";
  const end = given.has("e") ? parseTime(given.must("e")) : 0;
  if (end > now) return "Please set the endTimestamp before now!";
  if (given.has("e") && begin > end) {
    return "Please make sure that the beginTimestamp is less than or equal to the endTimestamp";
  }
  return { topic: given.must("t"), group: given.text("g") ?? TOOLS_GROUP, count, begin, end };
}

async function consumeAll(context: Context, wanted: Wanted): Promise<void> {
  const { topic } = wanted;
  let route: TopicRouteData;
  try {
    route = await context.admin.route(topic);
  } catch (error) {
    throw clientErrorWithHint(`Can not find Message Queue for this topic, ${topic}`, error);
  }
  const queues = readableQueues(topic, route);
  if (queues.length === 0) {
    const problem = clientError(`Can not find Message Queue for this topic, ${topic} Namesrv return empty`);
    throw clientErrorWithHint(`Can not find Message Queue for this topic, ${topic}`, problem);
  }
  let left = wanted.count;
  for (const queue of queues) {
    if (left === 0) return;
    const range = await rangeOf(context.admin, wanted, queue, route);
    if (range.max - range.min > left) {
      context.print(format("The older %d message of the %d queue will be provided\n", left, queue.queueId));
      range.max = range.min + left - 1;
      left = 0;
    } else {
      left -= range.max - range.min + 1;
    }
    await pullAll(context, wanted, queue, route, range.min, range.max);
  }
}

async function consumeQueue(context: Context, wanted: Wanted, queue: MessageQueue, offset: number): Promise<void> {
  const route = await context.admin.routeIfAny(wanted.topic);
  let { min, max } = await rangeOf(context.admin, wanted, queue, route);
  if (offset > max) return context.print(`${describeQueue(queue)} no matched msg, offset=${offset}\n`);
  min = Math.max(min, offset);
  if (max - min > wanted.count) {
    context.print(format("The oldler %d message will be provided\n", wanted.count));
    max = min + wanted.count - 1;
  }
  await pullAll(context, wanted, queue, route, min, max);
}

/** Queues in the order of Apache's HashSet: they share the count of messages. */
function readableQueues(topic: string, route: TopicRouteData): MessageQueue[] {
  const queues: MessageQueue[] = [];
  for (const { brokerName, perm, readQueueNums } of route.queueDatas) {
    if ((perm & PERM_READ) === 0) continue;
    for (let queueId = 0; queueId < readQueueNums; queueId++) queues.push({ topic, brokerName, queueId });
  }
  return hashOrder(queues, hashQueue);
}

async function rangeOf(
  admin: Admin,
  { begin, end }: Wanted,
  { topic, brokerName, queueId }: MessageQueue,
  route: TopicRouteData | undefined,
): Promise<{ min: number; max: number }> {
  const address = masterIn(route, brokerName);
  const header = { topic, queueId };
  const ask = async (name: keyof typeof RequestCode, more = {}): Promise<number> => {
    try {
      return offsetIn(await admin.broker(address, name, { ...header, ...more }, "broker"));
    } catch (error) {
      throw clientError(`Invoke Broker[${address}] exception`, error);
    }
  };
  let min = await ask("GET_MIN_OFFSET");
  let max = await ask("GET_MAX_OFFSET");
  if (begin > 0) min = await ask("SEARCH_OFFSET_BY_TIMESTAMP", { timestamp: begin });
  if (end > 0) max = await ask("SEARCH_OFFSET_BY_TIMESTAMP", { timestamp: end });
  return { min, max };
}

function masterIn(route: TopicRouteData | undefined, brokerName: string): string {
  const address = route?.brokerDatas.find((one) => one.brokerName === brokerName)?.brokerAddrs.get(MASTER_ID);
  if (address === undefined) throw clientError(`The broker[${brokerName}] not exist`);
  return address;
}

/** Pulls from `min` to `max`, each of which is a queue offset, until the broker says that there is no more. */
async function pullAll(
  context: Context,
  wanted: Wanted,
  queue: MessageQueue,
  route: TopicRouteData | undefined,
  min: number,
  max: number,
): Promise<void> {
  const { print } = context;
  for (let offset = min; offset <= max; ) {
    const pulled = await pull(context.admin, wanted.group, queue, route, offset, max - offset + 1);
    offset = pulled.next;
    if (pulled.status === "FOUND") {
      print("Consume ok\n");
      for (const message of pulled.messages) {
        print(`MSGID: ${message.id} ${describeMessage(message)} BODY: ${message.body.toString("utf8")}\n`);
      }
    } else if (pulled.status === "NO_MATCHED_MSG") {
      print(`${describeQueue(queue)} no matched msg. status=${pulled.status}, offset=${offset}\n`);
    } else {
      return print(`${describeQueue(queue)} print msg finished. status=${pulled.status}, offset=${offset}\n`);
    }
  }
}

interface Pulled {
  status: string;
  next: number;
  messages: Message[];
}

async function pull(
  admin: Admin,
  consumerGroup: string,
  { topic, brokerName, queueId }: MessageQueue,
  route: TopicRouteData | undefined,
  queueOffset: number,
  maxMsgNums: number,
): Promise<Pulled> {
  if (queueOffset < 0) throw new JavaFailure("java.lang.IllegalArgumentException", "offset < 0");
  const address = masterIn(route, brokerName);
  const header = {
    consumerGroup,
    topic,
    queueId,
    queueOffset,
    maxMsgNums,
    sysFlag: PULL_SUBSCRIPTION,
    commitOffset: 0,
    suspendTimeoutMillis: SUSPEND_MS,
    subscription: "*",
    subVersion: 0,
    expressionType: "TAG",
    maxMsgBytes: INT_MAX,
    bname: brokerName,
  };
  const answer = await admin.ask(address, "PULL_MESSAGE", header, undefined, PULL_TIMEOUT_MS);
  const status = STATUSES.get(answer.code);
  if (status === undefined) throw failureOf(answer, "broker", address);
  const number = (name: string) => Number(answer.fields.get(name));
  const messages = status === "FOUND" ? await decodeMessages(answer.body) : [];
  for (const message of messages) {
    message.brokerName = brokerName;
    message.properties.set(Property.MIN_OFFSET, String(number("minOffset")));
    message.properties.set(Property.MAX_OFFSET, String(number("maxOffset")));
  }
  return { status, next: number("nextBeginOffset"), messages };
}
