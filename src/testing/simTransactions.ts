/**
 * Transactions on a machine that dies: a producer with plans of its own sends half messages, ends them or leaves them to the
 * checks; the machine dies before a chosen disk operation, comes back in one of many states, and the producer answers what
 * it is asked. In the end every message that was taken and should be committed must be there once, and no other.
 */
import { type Random, seededRandom } from "../base/random.ts";
import { LOSS_MODES, SimCrash, SimDisk } from "./simDisk.ts";
import { COMMIT, type Half, halfOf, messagesOf, ROLLBACK, TransactionProducer, UNKNOWN } from "./transactions.ts";
import { type WireBroker, wireBroker } from "./wireBroker.ts";

export type FlushType = "ASYNC_FLUSH" | "SYNC_FLUSH";

/** What a producer means to do with a transaction; "late" does not know before its second check. */
type Plan = "commit" | "rollback" | "late";

/** One transaction as its producer knows it. */
interface Transaction {
  readonly body: string;
  readonly plan: Plan;
  half: Half | undefined;
  /** The broker said that it has the half message. */
  taken: boolean;
  /** The producer has told its decision at least once. */
  ended: boolean;
  checks: number;
}

const SMALL_FILES = {
  mappedFileSizeCommitLog: String(32 * 1024),
  mappedFileSizeConsumeQueue: String(16 * 20),
  maxMessageSize: String(16 * 1024),
  maxHashSlotNum: "64",
  maxIndexNum: "256",
  transactionOpMsgMaxSize: "12",
  transactionCheckMax: "30",
};
const STEPS = 36;
/** Rounds of checks after the crash: enough for the last undecided one. */
const ROUNDS_AFTER = 5;

/** The producer's memory, which outlives the broker. */
class Journal {
  readonly transactions = new Map<string, Transaction>();
}

class Life {
  readonly broker: WireBroker;
  readonly producer: TransactionProducer;
  readonly journal: Journal;

  private constructor(broker: WireBroker, journal: Journal) {
    this.broker = broker;
    this.journal = journal;
    this.producer = new TransactionProducer(broker);
    this.producer.register();
  }

  static async open(disk: SimDisk, flush: FlushType, journal: Journal, now: number): Promise<Life> {
    const broker = await wireBroker({ ...SMALL_FILES, flushDiskType: flush }, disk, now);
    return new Life(broker, journal);
  }

  /** Ends the turn. Throws when the machine died. */
  async settle(): Promise<void> {
    await this.broker.clock.settle();
    if (this.broker.disk.crashed) throw new SimCrash("the machine is dead");
  }

  async advance(ms: number): Promise<void> {
    await this.broker.clock.advance(ms);
    await this.settle();
  }

  /** Work of the broker that waits for turns to end. */
  async drive(work: Promise<unknown>): Promise<void> {
    let done = false;
    const end = () => {
      done = true;
    };
    work.then(end, end);
    while (!done && !this.broker.disk.crashed) await this.broker.clock.settle();
    await this.settle();
  }

  send(plan: Plan, random: Random): Transaction {
    const { journal, producer, broker } = this;
    const id = journal.transactions.size;
    const body = `${id} ${plan} ${"x".repeat(random.int(4) === 0 ? random.int(3000) : random.int(80))}`;
    const transaction: Transaction = { body, plan, half: undefined, taken: false, ended: false, checks: 0 };
    journal.transactions.set(body, transaction);
    const properties: Record<string, string> = random.int(5) === 0 ? { CHECK_IMMUNITY_TIME_IN_SECONDS: "9" } : {};
    void producer.half(body, properties).then(
      (half) => {
        // An answer after its machine's death reaches nobody.
        if (broker.disk.crashed || half.reply.code !== 0) return;
        transaction.half = half;
        transaction.taken = true;
      },
      () => {},
    );
    return transaction;
  }

  end(transaction: Transaction, half: Omit<Half, "reply">, fromCheck: boolean): void {
    const { plan } = transaction;
    const undecided = plan === "late" && transaction.checks < 2;
    const decision = undecided ? UNKNOWN : plan === "rollback" ? ROLLBACK : COMMIT;
    if (!undecided) transaction.ended = true;
    this.producer.endOneway(half, decision, { fromTransactionCheck: String(fromCheck) });
  }

  /** One round of checks, and the producer's answers to those it feels like answering. */
  async check(answers: (body: string) => boolean): Promise<number> {
    await this.drive(this.broker.checks.round());
    const checks = this.producer.checks();
    for (const check of checks) {
      const body = check.message.body().toString();
      const transaction = this.journal.transactions.get(body);
      if (transaction === undefined) throw new Error(`a check for a message nobody sent: ${body.slice(0, 40)}`);
      transaction.checks++;
      if (answers(body)) this.end(transaction, halfOf(check), true);
    }
    await this.settle();
    return checks.length;
  }
}

async function workload(life: Life, random: Random): Promise<void> {
  const { journal } = life;
  for (let step = 0; step < STEPS; step++) {
    const sent: Transaction[] = [];
    for (let i = random.int(4); i >= 0; i--) {
      sent.push(life.send((["commit", "commit", "rollback", "late"] as const)[random.int(4)], random));
    }
    if (random.int(3) > 0) await life.settle();
    for (const transaction of journal.transactions.values()) {
      const { half } = transaction;
      if (half === undefined || transaction.plan === "late") continue;
      // Some never, some at once, some again and again.
      if (random.int(transaction.ended ? 30 : 3) === 0) life.end(transaction, half, false);
    }
    if (random.int(2) === 0) await life.settle();
    if (random.int(4) === 0) await life.advance(random.int(4000));
    if (step % 9 === 8) {
      await life.advance(7_000);
      await life.check(() => random.int(3) > 0);
      await life.drive(life.broker.offsets.persist().catch(() => {}));
    }
    if (step % 12 === 11) await life.drive(life.broker.store.checkpoint());
  }
  await life.settle();
}

export interface TransactionCrashCounts {
  points: number;
  images: number;
  transactions: number;
  /** Commits that recovery found without an op message, or chains it joined, are why the rest is exact. */
  checksAfter: number;
}

export interface TransactionCrashOptions {
  flush: FlushType;
  seed: number;
  /** Power-loss images per crash point, besides the one of kill -9. */
  images: number;
  /** Only every so many crash points. */
  step: number;
  /** Of how many lives; the second crashes while it recovers from the first, and so on. */
  lives: number;
}

/** Crashes the workload before its disk operations, one after the other. Throws with everything needed to repeat a failure. */
export async function transactionCrashes(options: TransactionCrashOptions): Promise<TransactionCrashCounts> {
  const counts: TransactionCrashCounts = { points: 0, images: 0, transactions: 0, checksAfter: 0 };
  for (let point = options.seed % options.step; ; point += options.step) {
    let died = false;
    for (let image = -1; image < options.images; image++) {
      const seed = options.seed * 100_003 + point * 101 + image + 1;
      const killed = image < 0;
      const mode = LOSS_MODES[seededRandom(seed).int(LOSS_MODES.length)];
      try {
        died = (await oneFate(options, point, seed, killed, counts)) || died;
      } catch (error) {
        const how = killed ? "kill -9" : `power loss (${mode})`;
        const label = `${options.flush}, crash before operation ${point}, ${how}, seed ${options.seed}`;
        throw new Error(`${label}: ${(error as Error).message}`, { cause: error });
      }
      counts.images++;
    }
    if (!died) return counts;
    counts.points++;
  }
}

/** One machine: its life to the crash, further lives that die early, and a last one that is audited. False: it never died. */
async function oneFate(
  options: TransactionCrashOptions,
  point: number,
  seed: number,
  killed: boolean,
  counts: TransactionCrashCounts,
): Promise<boolean> {
  const { flush } = options;
  const random = seededRandom(seed);
  const journal = new Journal();
  let disk = new SimDisk();
  let now = 1_700_000_000_000;
  let died = false;
  for (let life = 0; life < options.lives; life++) {
    disk.crashAt = life === 0 ? point : random.int(60);
    const crashed = await liveUntilCrash(disk, flush, journal, now, seededRandom(options.seed + life), (clockNow) => {
      now = clockNow;
    });
    if (life === 0) died = crashed;
    if (!crashed) break;
    const mode = LOSS_MODES[random.int(LOSS_MODES.length)];
    disk = killed ? disk.killed(random.int(1e9)) : disk.powerLost(random.int(1e9), mode);
    now += 1_000;
  }
  disk.crashAt = Number.POSITIVE_INFINITY;
  disk.crashed = false;
  const last = await Life.open(disk, flush, journal, now);
  for (let round = 0; round < ROUNDS_AFTER; round++) {
    await last.advance(10_000);
    counts.checksAfter += await last.check(() => true);
  }
  counts.transactions += journal.transactions.size;
  await audit(last, killed || flush === "SYNC_FLUSH");
  await last.broker.close();
  return died;
}

async function liveUntilCrash(
  disk: SimDisk,
  flush: FlushType,
  journal: Journal,
  now: number,
  random: Random,
  ended: (now: number) => void,
): Promise<boolean> {
  let life: Life | undefined;
  try {
    life = await Life.open(disk, flush, journal, now);
    await workload(life, random);
    await life.broker.close();
  } catch (error) {
    if (!disk.crashed) throw error;
  }
  ended((life?.broker.clock.now() ?? now) + 1_000);
  if (!disk.crashed) return false;
  // Let what was under way meet its end, so that it does not reach into the next life.
  await life?.broker.clock.settle();
  return true;
}

/** @param kept whether what was taken must be there */
async function audit({ broker, journal, producer }: Life, kept: boolean): Promise<void> {
  const times = new Map<string, number>();
  for (const message of await messagesOf(broker, "T", 1)) {
    const body = message.body.toString();
    times.set(body, (times.get(body) ?? 0) + 1);
  }
  for (const body of times.keys()) {
    if (!journal.transactions.has(body)) throw new Error(`a message nobody sent was delivered: ${body.slice(0, 40)}`);
  }
  for (const { body, plan, taken, half, ended, checks } of journal.transactions.values()) {
    const found = times.get(body) ?? 0;
    const name = `"${body.slice(0, 20).trim()}" (half message ${half?.halfOffset}, ended ${ended}, ${checks} checks)`;
    if (plan === "rollback" && found > 0) throw new Error(`${name} was rolled back and is delivered`);
    if (found > 1) throw new Error(`${name} is delivered ${found} times`);
    if (plan !== "rollback" && kept && taken && found === 0) throw new Error(`${name} was taken and is lost`);
  }
  if (producer.checks().length > 0) throw new Error("checks came after the last round");
  const { decided, chains } = broker.transactions;
  const end = broker.store.maxOffset("RMQ_SYS_TRANS_HALF_TOPIC", 0);
  if (decided.nextUndecided(decided.base, end) !== end) throw new Error("half messages are left undecided");
  if (chains !== 0) throw new Error(`${chains} chains are left`);
}
