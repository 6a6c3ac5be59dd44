/**
 * A whole broker without sockets: every row of the table, the real store on a disk in memory, a clock that tests drive.
 * Requests go in as frames, answers come out as frames, so codecs and handlers are tested as they work together.
 */
import { Buffer } from "node:buffer";
import { hostBytes } from "../base/host.ts";
import { silentLogger } from "../base/log.ts";
import { seededRandom } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import { BroadcastOffsets } from "../broker/broadcastOffsets.ts";
import { Clients } from "../broker/clients.ts";
import { ConsumerFilters } from "../broker/consumerFilters.ts";
import { Counters } from "../broker/counters.ts";
import { Groups } from "../broker/groups.ts";
import { Lites } from "../broker/lite/lites.ts";
import { Offsets } from "../broker/offsets.ts";
import { Pops } from "../broker/pop/pops.ts";
import { PullHolds } from "../broker/pullHolds.ts";
import { QueueLocks } from "../broker/queueLocks.ts";
import { Registration } from "../broker/registration.ts";
import { RequestModes } from "../broker/requestModes.ts";
import { Schedule } from "../broker/schedule.ts";
import { TimerMessageStore } from "../broker/timer/timerMessageStore.ts";
import { NoTimers } from "../broker/timer/timers.ts";
import { TopicRoutes } from "../broker/topicRoutes.ts";
import { Topics } from "../broker/topics.ts";
import { TransactionChecks } from "../broker/transactionChecks.ts";
import { Transactions } from "../broker/transactions.ts";
import { loadBrokerConfig } from "../config/index.ts";
import type { HaView } from "../handlers/ha.ts";
import { slaveRows } from "../handlers/slave.ts";
import { brokerRows, type TableParts } from "../handlers/table.ts";
import { parseProperties } from "../message/properties.ts";
import { RecordView } from "../message/record.ts";
import { BrokerStats } from "../metrics/brokerStats.ts";
import type { HotCall, Reply, ReplyOut, Row } from "../protocol/dispatch.ts";
import { encodeFrame, type Fields } from "../protocol/frameWriter.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { decodeHeader } from "../protocol/headerCodec.ts";
import { HeaderView } from "../protocol/headerView.ts";
import { MessageStore } from "../store/messageStore.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { answerOf, callOf, FakeCaller } from "./fakeCaller.ts";
import { FakeClock } from "./fakeClock.ts";
import { SimDisk } from "./simDisk.ts";

const ROOT = "/store";

export interface WireReply {
  code: number;
  opaque: number;
  remark: string | undefined;
  serialization: number;
  fields: Record<string, string>;
  body: Buffer;
}

export interface WireOptions {
  body?: Buffer | string;
  flag?: number;
  serialization?: number;
  version?: number;
}

/** One client's connection. */
export class WireClient implements ReplyOut {
  readonly caller: FakeCaller;
  readonly replies: WireReply[] = [];
  congested = false;
  slab: Buffer = Buffer.alloc(0);
  readonly #broker: WireBroker;
  readonly #attachments = new Map<string, object>();
  #opaque = 100;

  constructor(broker: WireBroker, address?: string) {
    this.#broker = broker;
    this.caller = new FakeCaller(address);
  }

  get open(): boolean {
    return this.caller.open;
  }

  /** Hands a request to its row, as the dispatcher would; nothing is awaited. Returns its opaque. */
  send(name: keyof typeof RequestCode, fields: Fields, options: WireOptions = {}): number {
    const opaque = this.#opaque++;
    const { flag = 0, serialization = 0, version, body } = options;
    const code = RequestCode[name];
    const frame = encodeFrame({ code, flag, opaque, serialization, fields }, body);
    const view = new HeaderView();
    const headerEnd = 8 + frame.readUIntBE(5, 3);
    view.read(frame, 8, headerEnd, serialization);
    if (version !== undefined) view.version = version;
    const row = this.#broker.rows.get(code);
    if (row === undefined) throw new Error(`${name} has no row`);
    if (row.hot === undefined) {
      this.#handle(row, view, frame.subarray(headerEnd));
      return opaque;
    }
    const call: HotCall = {
      view,
      buf: frame,
      bodyStart: headerEnd,
      bodyEnd: frame.length,
      caller: this.caller,
      out: this,
      attachments: this.#attachments,
    };
    try {
      row.hot(call);
    } finally {
      // The frame's buffer belongs to the connection again: who kept a part of it without a copy is found out.
      this.#broker.clock.endOfTurn(() => frame.fill(0x23));
    }
    return opaque;
  }

  /** An ordinary row; what it throws becomes SYSTEM_ERROR, as the dispatcher does it. */
  #handle(row: Row & { hot?: undefined }, view: HeaderView, body: Buffer): void {
    const { code, opaque, serialization } = view;
    const header = row.header === undefined ? {} : decodeHeader(view, row.header);
    Promise.resolve()
      .then(() => row.handle(callOf(code, header, { body, caller: this.caller })))
      .catch((error: Error) => ({ code: 1, remark: error.message }))
      .then((reply) => {
        if (reply !== undefined) this.reply(opaque, serialization, reply);
      });
  }

  /** Sends and waits until the answer is there. */
  async ask(name: keyof typeof RequestCode, fields: Fields, options: WireOptions = {}): Promise<WireReply> {
    const opaque = this.send(name, fields, options);
    for (let i = 0; i < 200; i++) {
      await this.#broker.clock.settle();
      const reply = this.answerTo(opaque);
      if (reply !== undefined) return reply;
    }
    throw new Error(`${name} was not answered`);
  }

  /** The answer to a request, if it has come. */
  answerTo(opaque: number): WireReply | undefined {
    return this.replies.find((reply) => reply.opaque === opaque);
  }

  // ---- ReplyOut ----

  reserve(bytes: number): number {
    this.slab = Buffer.alloc(bytes + 11, 0x7e);
    return 11;
  }

  commit(end: number): void {
    this.#take(this.slab.subarray(11, end));
  }

  reply(opaque: number, serialization: number, reply: Reply): void {
    const { code, remark, header, body } = reply;
    this.#take(encodeFrame({ code, flag: 1, opaque, serialization, remark, fields: header }, body));
  }

  #take(bytes: Buffer): void {
    const frame = Buffer.from(bytes);
    if (frame.readInt32BE(0) !== frame.length - 4) throw new Error("the frame's length is wrong");
    const headerEnd = 8 + frame.readUIntBE(5, 3);
    const view = new HeaderView();
    view.read(frame, 8, headerEnd, frame[4]);
    if (view.flag !== 1) throw new Error(`an answer with flag ${view.flag}`);
    const fields: Record<string, string> = {};
    for (let i = 0; i < view.count; i++) fields[view.keyText(i)] = view.valueText(i);
    const { code, opaque, remark, serialization } = view;
    this.replies.push({ code, opaque, remark, serialization, fields, body: frame.subarray(headerEnd) });
  }
}

export interface WireBroker extends Omit<TableParts, "clock"> {
  readonly checks: TransactionChecks;
  readonly clock: FakeClock;
  readonly disk: SimDisk;
  readonly rows: ReadonlyMap<number, Row>;
  /** A new connection. */
  client(address?: string): WireClient;
  close(): Promise<void>;
}

/** A started broker with these options of broker.conf, on a disk that is new unless given. */
export async function wireBroker(
  options: Record<string, string> = {},
  disk = new SimDisk(),
  now?: number,
  ha?: HaView,
): Promise<WireBroker> {
  const clock = now === undefined ? new FakeClock() : new FakeClock(now);
  disk.now = () => clock.now();
  const log = silentLogger();
  const turn = new Turn(clock);
  const given = {
    brokerName: "broker-a",
    storePathRootDir: ROOT,
    mappedFileSizeCommitLog: String(64 << 20),
    ...options,
  };
  const { config } = loadBrokerConfig(new Map(Object.entries(given)));
  const file = (name: string) => new MetadataFile(disk, `${ROOT}/config/${name}`);
  let schedule: Schedule | undefined;
  const stats = new BrokerStats(config, clock, (topic) => topics.isSystem(topic));
  const counters = new Counters(clock, () => stats.totals);
  const store = new MessageStore({
    disk,
    clock,
    turn,
    log,
    options: { ...config, storePathCommitLog: `${ROOT}/commitlog`, diskMaxUsedSpaceRatio: 75 },
    storeHost: hostBytes("127.0.0.1", 10911),
    counters,
    stats,
    deliverTime: (level, time) => schedule?.levels.deliverTime(level, time) ?? time,
    hasTopic: (topic) => !topics.isGone(topic),
  });
  disk.mkdir(`${ROOT}/config`);
  const topics = new Topics(config, file("topics.json"), clock, log);
  const offsets = new Offsets(config, file("consumerOffset.json"), clock, log);
  schedule = new Schedule(config, store, file("delayOffset.json"), clock, log);
  const clients = new Clients(config, clock, log);
  const broadcasts = new BroadcastOffsets(config, clients, offsets, clock);
  const consumerFilters = new ConsumerFilters(config, file("consumerFilter.json"), clock, log);
  clients.onSubscriptions(consumerFilters);
  const timers = config.timerWheelEnable
    ? new TimerMessageStore({
        options: config,
        store,
        disk,
        clock,
        random: seededRandom(2),
        log,
        metricsFile: file("timermetrics"),
        hasTopic: (topic) => topics.get(topic) !== undefined,
      })
    : undefined;
  const address = () => "127.0.0.1:10911";
  const nobody = async () => answerOf({});
  const transactions = new Transactions(config, store, offsets, file("transactionMetrics"), clock, log);
  const checks = new TransactionChecks(config, transactions, store, topics, clients, clock, log);
  const random = seededRandom(1);
  const groups = new Groups(config, file("subscriptionGroup.json"), clock, log);
  const pops = new Pops({
    config,
    store,
    topics,
    groups,
    offsets,
    clock,
    random,
    turn,
    log,
    orderFile: file("consumerOrderInfo.json"),
  });
  const parts: TableParts = {
    config,
    configFile: undefined,
    clock,
    random,
    log,
    store,
    storeOps: store,
    counters,
    topics,
    groups,
    offsets,
    clients,
    consumerFilters,
    locks: new QueueLocks(clock, log),
    holds: new PullHolds(clock),
    broadcasts,
    pops,
    lites: new Lites(config, store, topics, groups, offsets, clock, log),
    requestModes: new RequestModes(file("messageRequestMode.json"), log),
    routes: new TopicRoutes(config, nobody, clock, log),
    schedule,
    transactions,
    timers: timers ?? new NoTimers(config, () => clock.now()),
    registration: new Registration(config, topics, nobody, address, address, clock, log),
    stats,
    memoryBytes: 1_000_000,
    ...(ha === undefined ? {} : { ha }),
    address,
  };
  const isSlave = config.brokerRole === "SLAVE";
  const table = isSlave ? slaveRows(brokerRows(parts), config) : brokerRows(parts);
  const rows = new Map(table.map((row) => [row.code, row]));
  await finish(clock, store.start());
  if (!isSlave) {
    await finish(clock, transactions.start());
    if (timers !== undefined) await finish(clock, timers.load());
    await finish(clock, pops.start());
    timers?.start();
    schedule.start();
  }
  parts.holds.start();
  if (!isSlave) parts.lites.start();
  const broker: WireBroker = {
    ...parts,
    checks,
    clock,
    disk,
    rows,
    client: (from) => new WireClient(broker, from),
    async close() {
      parts.holds.stop();
      parts.lites.stop();
      if (!isSlave) await finish(clock, pops.stop());
      await finish(clock, offsets.stop());
      await finish(clock, schedule.stop());
      await finish(clock, checks.stop());
      if (!isSlave) await finish(clock, transactions.stop());
      await finish(
        clock,
        offsets.persist().catch(() => {}),
      );
      if (timers !== undefined && !isSlave) await finish(clock, timers.stop());
      await finish(clock, store.close());
    },
  };
  return broker;
}

/** Runs something that waits for turns to end. */
async function finish<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let done = false;
  const result = work.finally(() => {
    done = true;
  });
  result.catch(() => {});
  while (!done) await clock.settle();
  return result;
}

/** The records in a pull's body, one after the other. */
export function recordsOf(body: Buffer): {
  topic: string;
  queueId: number;
  queueOffset: number;
  logOffset: number;
  text: string;
  reconsumeTimes: number;
  properties: Map<string, string>;
}[] {
  const records = [];
  for (let at = 0; at < body.length; ) {
    const view = new RecordView();
    const check = view.read(body, at, body.length, true);
    if (check !== "record") throw new Error(`no record at ${at} of a pull's body: ${check}`);
    const { queueId, queueOffset, logOffset, reconsumeTimes } = view;
    records.push({
      topic: view.topic(),
      queueId,
      queueOffset,
      logOffset,
      text: view.body().toString(),
      reconsumeTimes,
      properties: parseProperties(view.properties()),
    });
    at += view.totalBytes;
  }
  return records;
}
