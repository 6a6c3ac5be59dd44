/**
 * Pop consumption on a simulated machine that dies before a chosen disk operation. A note from outside says which
 * acknowledgements were confirmed; the audit of what comes next shares no code with the journal:
 *
 *   confirmed   must never be given again            (acknowledged is acknowledged)
 *   not asked   must be given again, in time, once   (nothing is lost, nothing comes twice)
 *   asked       may be either: the machine died before it answered
 */
import { Buffer } from "node:buffer";
import { hostBytes } from "../base/host.ts";
import { silentLogger } from "../base/log.ts";
import { seededRandom } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import { Groups } from "../broker/groups.ts";
import { Offsets } from "../broker/offsets.ts";
import { Pops } from "../broker/pop/pops.ts";
import { Topics } from "../broker/topics.ts";
import { type BrokerConfig, loadBrokerConfig } from "../config/index.ts";
import { ALL_UNITS } from "../filter/tags.ts";
import { parseProperties } from "../message/properties.ts";
import { RecordView } from "../message/record.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { ORDER_REVIVE_QID } from "../protocol/extraInfo.ts";
import { MessageStore } from "../store/messageStore.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { FakeClock } from "./fakeClock.ts";
import { LOSS_MODES, SimCrash, SimDisk } from "./simDisk.ts";
import { SMALL } from "./simStore.ts";

const GROUP = "g";
const ROOT = "/store";
const STEP_MS = 500;
/** Longer than any invisible time of a workload, with its revivals one after the other. */
const PATIENCE_MS = 60_000;

export type FlushType = "ASYNC_FLUSH" | "SYNC_FLUSH";

/** A message as it was popped. */
export interface Popped {
  body: string;
  topic: string;
  queueId: number;
  offset: number;
  startOffset: number;
  popTime: number;
  invisibleTime: number;
  reviveQid: number;
  reconsumeTimes: number;
}

/** What is known from outside. */
export class PopNotes {
  /** Messages whose send was acknowledged. */
  readonly sent = new Set<string>();
  /** Acknowledgements that were confirmed. */
  readonly confirmed = new Set<string>();
  /** Acknowledgements that were sent and not answered. */
  readonly asked = new Set<string>();
  /** Bodies that were popped under an offset that may have been lost with a power failure. */
  nextId = 0;

  copy(): PopNotes {
    const copy = new PopNotes();
    for (const body of this.sent) copy.sent.add(body);
    for (const body of this.confirmed) copy.confirmed.add(body);
    for (const body of this.asked) copy.asked.add(body);
    copy.nextId = this.nextId;
    return copy;
  }
}

/** One life of a broker that only pops. */
export class SimPop {
  readonly disk: SimDisk;
  readonly notes: PopNotes;
  readonly clock: FakeClock;
  readonly store: MessageStore;
  readonly topics: Topics;
  readonly groups: Groups;
  readonly offsets: Offsets;
  readonly pops: Pops;
  readonly config: BrokerConfig;

  constructor(disk: SimDisk, notes: PopNotes, flush: FlushType, now?: number) {
    this.disk = disk;
    this.notes = notes;
    this.clock = now === undefined ? new FakeClock() : new FakeClock(now);
    disk.now = () => this.clock.now();
    const { clock } = this;
    const log = silentLogger();
    const turn = new Turn(clock);
    this.config = loadBrokerConfig(
      new Map([
        ["brokerName", "b"],
        ["storePathRootDir", ROOT],
        ["reviveQueueNum", "2"],
        // Every pop looks into both, so that nothing depends on chance.
        ["popFromRetryProbability", "100"],
      ]),
    ).config;
    const file = (name: string, waitFor?: () => Promise<void>) =>
      new MetadataFile(disk, `${ROOT}/config/${name}`, waitFor);
    this.store = new MessageStore({
      disk,
      clock,
      turn,
      log,
      options: { ...SMALL, flushDiskType: flush, mappedFileSizeCommitLog: 64 * 1024 },
      storeHost: hostBytes("127.0.0.1", 10_911),
      onFatal: () => {},
    });
    this.topics = new Topics(this.config, file("topics.json"), clock, log);
    this.groups = new Groups(this.config, file("subscriptionGroup.json"), clock, log);
    const synced = () => this.store.sync();
    this.offsets = new Offsets(this.config, file("consumerOffset.json", synced), clock, log);
    this.pops = new Pops({
      config: this.config,
      store: this.store,
      topics: this.topics,
      groups: this.groups,
      offsets: this.offsets,
      clock,
      random: seededRandom(1),
      turn,
      log,
      orderFile: file("consumerOrderInfo.json", synced),
    });
  }

  /** Runs something that waits for turns to end. */
  async drive<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const result = work.finally(() => {
      done = true;
    });
    result.catch(() => {});
    while (!done) {
      if (this.disk.crashed) throw new SimCrash("the machine is gone");
      await this.clock.settle();
    }
    return result;
  }

  async open(): Promise<void> {
    this.disk.mkdir(ROOT);
    this.disk.mkdir(`${ROOT}/config`);
    await this.drive(this.store.start());
    for (const topic of ["T", "O"]) {
      this.topics.createIfAbsent(newTopicConfig(topic, { readQueueNums: 2, writeQueueNums: 2, perm: 6 }));
    }
    this.groups.find(GROUP);
    await this.drive(this.pops.start());
    this.offsets.start();
    await this.drive(Promise.all([this.topics.saved(), this.groups.saved()]));
  }

  async close(): Promise<void> {
    await this.drive(this.pops.stop());
    await this.drive(this.offsets.stop());
    await this.drive(this.store.close());
  }

  async send(topic: string, queueId: number, count: number): Promise<void> {
    const puts = Array.from({ length: count }, async () => {
      const body = `${topic}${queueId}-${this.notes.nextId++}`;
      const properties = new Map([["UNIQ_KEY", `u-${body}`]]);
      const result = await this.store.put({ topic, queueId, body: Buffer.from(body), properties });
      if (result.status === "ok") this.notes.sent.add(body);
    });
    await this.drive(Promise.all(puts));
  }

  /** Pops; what it gives is told once the turn is over, as on the wire. */
  async pop(
    topic: string,
    options: { max?: number; invisible?: number; order?: boolean; attempt?: string } = {},
  ): Promise<Popped[]> {
    const { max = 32, invisible = 10_000, order = false, attempt } = options;
    const { popper } = this.pops;
    const query = {
      group: GROUP,
      topic,
      queueId: -1,
      maxMsgNums: max,
      invisibleTime: invisible,
      initMode: 0,
      order,
      attemptId: attempt,
    };
    const { result } = popper;
    for (let round = 0; round < 20; round++) {
      const load = popper.pop(query, this.topics.get(topic)!, this.groups.find(GROUP)!, ALL_UNITS);
      if (load === undefined) break;
      await this.drive(load());
    }
    const found: Popped[] = [];
    for (let p = 0; p < result.partCount; p++) {
      const part = result.parts[p];
      for (let i = part.from; i < part.to; i++) {
        const bytes = Buffer.alloc(result.sizes[i]);
        if (!this.store.copy(result.logOffsets[i], bytes.length, bytes, 0))
          throw new Error("popped bytes are not in memory");
        const view = new RecordView();
        if (view.read(bytes, 0, bytes.length, true) !== "record") throw new Error("popped bytes are no record");
        if (parseProperties(view.properties()).get("UNIQ_KEY") !== `u-${view.body()}`)
          throw new Error("another's properties");
        found.push({
          body: view.body().toString(),
          topic: part.queue.group.topic,
          queueId: part.queue.queueId,
          offset: result.queueOffsets[i],
          startOffset: part.startOffset,
          popTime: result.popTime,
          invisibleTime: result.invisibleTime,
          reviveQid: result.reviveQid,
          reconsumeTimes: view.reconsumeTimes,
        });
      }
    }
    await this.settle();
    return found;
  }

  /** Acknowledges in one turn. */
  async ack(messages: readonly Popped[]): Promise<void> {
    let waiting = 0;
    for (const message of messages) {
      const { body } = message;
      this.notes.asked.add(body);
      const confirm = () => {
        this.notes.asked.delete(body);
        this.notes.confirmed.add(body);
      };
      const sink = {
        acked: (_o: number, _s: number, refusal: string | undefined) => {
          waiting--;
          if (refusal === undefined) confirm();
        },
      };
      const outcome =
        message.reviveQid === ORDER_REVIVE_QID
          ? this.#ackInOrder(message, sink)
          : this.pops.inFlight.ack(message.topic, GROUP, message.queueId, message, sink, 0, 0);
      if (outcome === "waiting") waiting++;
      else if (outcome === "done") confirm();
    }
    for (let round = 0; waiting > 0 && round < 100; round++) await this.settle();
  }

  #ackInOrder(
    message: Popped,
    sink: { acked(o: number, s: number, refusal: string | undefined): void },
  ): "waiting" | "done" {
    const { topic, queueId, offset, popTime } = message;
    if (offset < this.offsets.query(GROUP, topic, queueId)) return "done";
    const queue = this.pops.groups.make(topic, GROUP).queue(queueId);
    const next = this.pops.orders.acknowledge(queue, offset, popTime);
    if (next < 0) throw new Error(`an acknowledgement in order came to ${next}`);
    this.offsets.commit(GROUP, topic, queueId, next);
    this.pops.inFlight.orderChanged(queue, sink);
    return "waiting";
  }

  /** Gives a message a new deadline; its new handle. */
  async renew(message: Popped, invisibleTime: number): Promise<Popped> {
    let told = false;
    const sink = { acked: () => (told = true) };
    const { inFlight } = this.pops;
    const { topic, queueId } = message;
    const renewed = inFlight.renew(topic, GROUP, queueId, message, invisibleTime, false, sink, 0, 0);
    for (let round = 0; renewed.outcome === "waiting" && !told && round < 100; round++) await this.settle();
    return { ...message, startOffset: message.offset, popTime: renewed.popTime, invisibleTime };
  }

  async settle(): Promise<void> {
    if (this.disk.crashed) throw new SimCrash("the machine is gone");
    await this.clock.settle();
    if (this.disk.crashed) throw new SimCrash("the machine is gone");
  }

  async advance(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += STEP_MS) {
      await this.clock.advance(Math.min(STEP_MS, ms - at));
      await this.settle();
    }
  }
}

/** A life in which everything happens once or twice. */
export async function popWorkload(sim: SimPop): Promise<void> {
  await sim.open();
  await sim.send("T", 0, 6);
  await sim.send("T", 1, 4);
  const first = await sim.pop("T", { max: 4, invisible: 4_000 });
  await sim.ack(first.slice(0, 1));
  const second = await sim.pop("T", { invisible: 20_000 });
  await sim.ack(second.slice(0, 3));
  await sim.ack([...first.slice(1, 2), ...second.slice(3, 4)]);
  if (first.length > 2) {
    const renewed = await sim.renew(first[2], 8_000);
    await sim.ack(second.slice(4, 5));
    await sim.ack([renewed]);
  }
  await sim.send("O", 0, 5);
  const ordered = await sim.pop("O", { max: 3, invisible: 3_000, order: true, attempt: "a1" });
  await sim.ack(ordered.slice(0, 2));
  await sim.advance(5_500);
  // What was open of the first pop is in the retry topic by now.
  const retried = await sim.pop("T", { invisible: 5_000 });
  await sim.ack(retried.slice(0, 1));
  const again = await sim.pop("O", { max: 3, invisible: 30_000, order: true, attempt: "a2" });
  await sim.ack(again.slice(0, 1));
  await sim.send("T", 0, 3);
  const third = await sim.pop("T", { invisible: 3_000 });
  if (third.length > 0) await sim.renew(third[0], 2_000);
  await sim.ack(third.slice(1, 2));
  await sim.advance(7_000);
  await sim.ack((await sim.pop("T", { invisible: 6_000 })).slice(0, 2));
  await sim.advance(11_000);
  await sim.ack(await sim.pop("T", { invisible: 6_000 }));
  await sim.close();
}

/** What a machine left behind. */
interface Death {
  disk: SimDisk;
  notes: PopNotes;
  now: number;
}

/** Runs the workload until the machine dies before operation `point`; undefined when it ends before. */
export async function diePopping(flush: FlushType, point: number): Promise<Death | undefined> {
  const disk = new SimDisk();
  disk.crashAt = point;
  const sim = new SimPop(disk, new PopNotes(), flush);
  if (await livesOn(sim, () => popWorkload(sim))) return undefined;
  return { disk, notes: sim.notes, now: sim.clock.now() };
}

async function livesOn(sim: SimPop, life: () => Promise<void>): Promise<boolean> {
  try {
    await life();
  } catch (error) {
    if (!sim.disk.crashed) throw error;
  }
  if (!sim.disk.crashed) return true;
  await sim.clock.settle();
  return false;
}

export interface PopCrashCounts {
  points: number;
  images: number;
  recoveryPoints: number;
  /** Messages that came again in all audits together. */
  givenAgain: number;
  /** Confirmed acknowledgements looked after in all audits together. */
  confirmed: number;
}

export interface PopCrashOptions {
  flush: FlushType;
  seed: number;
  /** Power-loss images per point; a kill -9 comes on top. Under ASYNC_FLUSH only kills are tried: it promises no more. */
  images: number;
  /** Every how many points the recovery is crashed at each of its operations, too. */
  recoveryEvery: number;
  step?: number;
  from?: number;
}

/** Crashes the workload before each disk operation, then its recovery. Throws with everything needed to repeat a failure. */
export async function popCrashMatrix(options: PopCrashOptions): Promise<PopCrashCounts> {
  const counts: PopCrashCounts = { points: 0, images: 0, recoveryPoints: 0, givenAgain: 0, confirmed: 0 };
  const { flush, seed, step = 1, from = 0 } = options;
  for (let point = from; ; point += step) {
    const death = await diePopping(flush, point);
    if (death === undefined) return counts;
    counts.points++;
    for (let i = -1; i < (flush === "SYNC_FLUSH" ? options.images : 0); i++) {
      const imageSeed = seed + point * 1000 + i;
      const mode = LOSS_MODES[seededRandom(imageSeed).int(LOSS_MODES.length)];
      const killed = i < 0;
      await labelled(
        `${flush}, crash before operation ${point}, ${killed ? "kill -9" : `power loss (${mode})`}, seed ${imageSeed}`,
        async () => {
          const disk = killed ? death.disk.killed(imageSeed) : death.disk.powerLost(imageSeed, mode);
          await auditLife(disk, death, flush, killed, counts);
          counts.images++;
        },
      );
    }
    if (point % options.recoveryEvery === 0) await crashRecovery(options, death, point, counts);
  }
}

/** Crashes the next life before each of its operations until everything due has come again, and audits the third. */
async function crashRecovery(
  options: PopCrashOptions,
  death: Death,
  point: number,
  counts: PopCrashCounts,
): Promise<void> {
  const { flush, seed } = options;
  for (let second = 0; ; second++) {
    const ended = await labelled(
      `${flush}, kill -9 before operation ${point}, again before operation ${second} of the next life`,
      async () => {
        const disk = death.disk.killed(seed);
        disk.crashAt = second;
        const sim = new SimPop(disk, death.notes.copy(), flush, death.now + 2_000);
        const ended = await livesOn(sim, async () => {
          await sim.open();
          // Long enough for revivals, which are what must not happen twice.
          await sim.advance(12_000);
          await sim.ack((await sim.pop("T", { invisible: 4_000 })).slice(0, 2));
        });
        if (ended) return true;
        const next = { disk, notes: sim.notes, now: sim.clock.now() };
        await auditLife(disk.killed(seed + second), next, flush, true, counts);
        return false;
      },
    );
    if (ended) return;
    counts.recoveryPoints++;
  }
}

/** Opens what a dead machine left, takes and acknowledges everything there is, and compares with what is known. */
async function auditLife(
  disk: SimDisk,
  death: Death,
  flush: FlushType,
  killed: boolean,
  counts: PopCrashCounts,
): Promise<void> {
  const notes = death.notes.copy();
  const sim = new SimPop(disk, notes, flush, death.now + 2_000);
  await sim.open();
  const given = new Map<string, number>();
  // In order of need: a queue in order gives on only after what it gave was acknowledged.
  for (let waited = 0; waited <= PATIENCE_MS; waited += 2_000) {
    for (const topic of ["T", "O"]) {
      for (;;) {
        const batch = await sim.pop(topic, { invisible: 30_000, order: topic === "O", attempt: `audit-${waited}` });
        if (batch.length === 0) break;
        for (const message of batch) given.set(message.body, (given.get(message.body) ?? 0) + 1);
        await sim.ack(batch);
      }
    }
    await sim.advance(2_000);
  }
  for (const body of death.notes.confirmed) {
    if (given.has(body)) throw new Error(`${body} was acknowledged and came again`);
  }
  for (const body of death.notes.sent) {
    if (death.notes.confirmed.has(body) || death.notes.asked.has(body)) continue;
    if (!given.has(body)) throw new Error(`${body} was never acknowledged and did not come again`);
  }
  for (const [body, times] of given) if (times > 1 && killed) throw new Error(`${body} came ${times} times`);
  if (sim.pops.inFlight.count > 0) throw new Error(`${sim.pops.inFlight.count} checkpoints were left`);
  counts.givenAgain += given.size;
  counts.confirmed += death.notes.confirmed.size;
  await sim.close();
}

async function labelled<T>(label: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof SimCrash) throw error;
    throw new Error(`${label}: ${(error as Error).message}`, { cause: error });
  }
}
