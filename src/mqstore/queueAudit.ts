/**
 * Compares consume queues with the log, both ways: every message must be listed where its record says ({@link QueueAudit.record},
 * called in log order), and every unit must stand for a message ({@link QueueAudit.finish}).
 *
 * A topic that was deleted and made again counts its offsets from the beginning again: only the newest life of a queue is judged,
 * records of earlier ones are nobody's. Memory: a few numbers per queue, windows of units for the queues read last.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { readInt64OrMinus1 } from "../base/int64.ts";
import { javaHashCode, javaHashUtf8 } from "../base/javaHash.ts";
import { SCHEDULE_TOPIC } from "../broker/names.ts";
import { LMQ_QUEUE_ID, lmqPlaces, topicAllowsLmq } from "../message/lmq.ts";
import { Property, parseProperties } from "../message/properties.ts";
import type { PropertyScan } from "../message/propertyScan.ts";
import type { RecordView } from "../message/record.ts";
import { BLANK_SIZE, UNIT_BYTES } from "../store/consumeQueue.ts";
import { DirNames } from "../store/dirNames.ts";
import type { Disk } from "../store/disk.ts";
import { FileCache } from "../store/fileCache.ts";
import { OverlayDisk } from "../store/overlayDisk.ts";
import { Segments } from "../store/segments.ts";
import type { Findings } from "./findings.ts";
import type { Layout } from "./layout.ts";
import type { LogFacts } from "./logAudit.ts";

const AREA = "queues";
const OPEN_FILES_MAX = 256;
/** Units read at once beside the log, and how many queues keep theirs. */
const WINDOW_UNITS = 256;
const WINDOWS_MAX = 2048;
/** Units read at once in order; as many zeros behind the last one are a queue's end. */
const SCAN_UNITS = 3276;
const UNLISTED_MAX = 10_000;

/** What is known of one queue. */
export interface QueueFacts {
  topic: string;
  queueId: number;
  /** First unit whose message is in the log; {@link max} when there is none. */
  min: number;
  /** Behind the last unit. */
  max: number;
}

class QueueState {
  readonly topic: string;
  readonly queueId: number;
  readonly segments: Segments;
  /** Queue offsets of the newest life's messages in the log; -1: none. */
  first = -1;
  last = -1;
  /** Lives that ended in the log. */
  livesBefore = 0;
  /** Places between {@link first} and {@link last} without a message in the log. */
  gaps = 0;
  firstGap = -1;
  missing = 0;
  firstMissing = "";
  wrong: string[] = [];
  wrongs = 0;
  /** Delayed messages that are due at another time than the delay levels say. */
  otherDues = 0;
  firstOtherDue = "";
  window: Buffer | undefined;
  windowFirst = 0;
  windowUnits = 0;

  constructor(topic: string, queueId: number, segments: Segments) {
    this.topic = topic;
    this.queueId = queueId;
    this.segments = segments;
  }

  get name(): string {
    return `${this.topic}-${this.queueId}`;
  }

  newLife(): void {
    this.livesBefore++;
    this.first = -1;
    this.last = -1;
    this.gaps = 0;
    this.firstGap = -1;
    this.missing = 0;
    this.firstMissing = "";
    this.wrong = [];
    this.wrongs = 0;
    this.otherDues = 0;
  }
}

/** Messages of a queue that is not there. */
interface Unlisted {
  topic: string;
  queueId: number;
  count: number;
  lastLogOffset: number;
}

export class QueueAudit {
  readonly #findings: Findings;
  readonly #layout: Layout;
  readonly #topics = new Map<string, Map<number, QueueState>>();
  readonly #windowed = new Set<QueueState>();
  readonly #unlisted = new Map<string, Unlisted>();
  /** Units that are there, and those of them whose message is in the log. */
  units = 0;
  live = 0;

  constructor(disk: Disk, layout: Layout, findings: Findings) {
    this.#findings = findings;
    this.#layout = layout;
    const scratch = new OverlayDisk(disk);
    const cache = new FileCache(scratch, OPEN_FILES_MAX);
    const names = new DirNames(scratch);
    const dir = layout.queueDir;
    for (const topic of disk.list(dir)) {
      const queues = new Map<number, QueueState>();
      for (const name of disk.list(path.join(dir, topic))) {
        if (!/^\d+$/.test(name)) {
          findings.add("note", AREA, "other file", path.join(dir, topic, name), "no queue");
          continue;
        }
        const queueDir = path.join(dir, topic, name);
        const segments = new Segments(scratch, cache, names, queueDir, layout.options.mappedFileSizeConsumeQueue);
        try {
          for (const repair of segments.load()) findings.add("problem", AREA, "files", queueDir, repair);
        } catch (error) {
          findings.add("lost", AREA, "unusable files", queueDir, `no broker starts on it: ${(error as Error).message}`);
        }
        queues.set(Number(name), new QueueState(topic, Number(name), segments));
      }
      this.#topics.set(topic, queues);
    }
  }

  get count(): number {
    let count = 0;
    for (const queues of this.#topics.values()) count += queues.size;
    return count;
  }

  /** A message as it comes in the log. */
  record(view: RecordView, scan: PropertyScan): void {
    const topic = view.topic();
    this.#listed(topic, view.queueId, view.queueOffset, view, scan);
    if (!topicAllowsLmq(topic)) return;
    const text = view.properties();
    if (!text.includes(Property.INNER_MULTI_QUEUE_OFFSET)) return;
    const properties = parseProperties(text);
    const names = properties.get(Property.INNER_MULTI_DISPATCH);
    for (const [name, offset] of lmqPlaces(names, properties.get(Property.INNER_MULTI_QUEUE_OFFSET))) {
      // Light queues go with their last message and may be switched off: one that is not there is not missed.
      if (this.#topics.has(name)) this.#listed(name, LMQ_QUEUE_ID, offset, view, scan);
    }
  }

  #listed(topic: string, queueId: number, queueOffset: number, view: RecordView, scan: PropertyScan): void {
    const state = this.#topics.get(topic)?.get(queueId);
    if (state === undefined) {
      const key = `${topic} ${queueId}`;
      const known = this.#unlisted.get(key);
      if (known !== undefined) {
        known.count++;
        known.lastLogOffset = view.logOffset;
      } else if (this.#unlisted.size < UNLISTED_MAX) {
        this.#unlisted.set(key, { topic, queueId, count: 1, lastLogOffset: view.logOffset });
      }
      return;
    }
    if (queueOffset <= state.last) state.newLife();
    if (state.first < 0) state.first = queueOffset;
    else if (queueOffset > state.last + 1) {
      state.gaps += queueOffset - state.last - 1;
      if (state.firstGap < 0) state.firstGap = state.last + 1;
    }
    state.last = queueOffset;
    this.#compare(state, queueOffset, view, scan);
  }

  #compare(state: QueueState, queueOffset: number, view: RecordView, scan: PropertyScan): void {
    const buf = this.#locate(state, queueOffset);
    if (buf === undefined) {
      if (state.missing++ === 0)
        state.firstMissing = `message at log offset ${view.logOffset} belongs at ${queueOffset}`;
      return;
    }
    const at = (queueOffset - state.windowFirst) * UNIT_BYTES;
    const logOffset = readInt64OrMinus1(buf, at);
    const size = buf.readInt32BE(at + 8);
    if (logOffset === view.logOffset && size === view.totalBytes) {
      const problem = this.#tagProblem(state, view, scan, buf, at + 12);
      if (problem !== "")
        this.#isWrong(state, `unit ${queueOffset} of the message at log offset ${logOffset}: ${problem}`);
    } else if (size === 0 && logOffset === 0) {
      if (state.missing++ === 0)
        state.firstMissing = `message at log offset ${view.logOffset} belongs at ${queueOffset}`;
    } else {
      const found = size === BLANK_SIZE ? "a place without message" : `log offset ${logOffset}, ${size} bytes`;
      const wanted = `log offset ${view.logOffset}, ${view.totalBytes} bytes`;
      this.#isWrong(state, `unit ${queueOffset} is ${found}; the message of this place is at ${wanted}`);
    }
  }

  #isWrong(state: QueueState, text: string): void {
    state.wrongs++;
    if (state.wrong.length < 3) state.wrong.push(text);
  }

  #tagProblem(state: QueueState, view: RecordView, scan: PropertyScan, buf: Buffer, at: number): string {
    const found = buf.readBigInt64BE(at);
    if (state.topic === SCHEDULE_TOPIC) {
      const level = parseProperties(view.properties()).get(Property.DELAY_TIME_LEVEL);
      if (level !== undefined) {
        if (found < BigInt(view.storeTimestamp)) return `due at ${found}, before it was stored`;
        const { levels, levelsKnown } = this.#layout;
        const due = levels.deliverTime(Number(level), view.storeTimestamp);
        // Without the broker's configuration its levels are not known, and with it they may have been others before.
        if (levelsKnown && found !== BigInt(due) && state.otherDues++ === 0) {
          state.firstOtherDue = `message at log offset ${view.logOffset} at ${found} instead of ${due}`;
        }
        return "";
      }
    }
    const hash = scan.tagsStart < 0 || scan.tagsEnd === scan.tagsStart;
    const code = hash ? 0 : javaHashUtf8(0, view.buf, scan.tagsStart, scan.tagsEnd);
    return found === BigInt(code) ? "" : `tag code ${found} instead of ${code}`;
  }

  /** The state's window with the unit in it; undefined when no file has it. */
  #locate(state: QueueState, queueOffset: number): Buffer | undefined {
    const inWindow = queueOffset >= state.windowFirst && queueOffset < state.windowFirst + state.windowUnits;
    if (state.window !== undefined && inWindow) return state.window;
    if (!state.segments.has(queueOffset * UNIT_BYTES)) return undefined;
    if (state.window === undefined) {
      if (this.#windowed.size >= WINDOWS_MAX) {
        for (const oldest of this.#windowed) {
          oldest.window = undefined;
          this.#windowed.delete(oldest);
          break;
        }
      }
      state.window = Buffer.allocUnsafeSlow(WINDOW_UNITS * UNIT_BYTES);
      this.#windowed.add(state);
    }
    const got = state.segments.read(state.window, 0, state.window.length, queueOffset * UNIT_BYTES);
    state.windowFirst = queueOffset;
    state.windowUnits = Math.floor(got / UNIT_BYTES);
    return state.windowUnits > 0 ? state.window : undefined;
  }

  /** Reads every queue in order, after the whole log was shown. */
  finish(log: LogFacts): QueueFacts[] {
    const facts: QueueFacts[] = [];
    for (const queues of this.#topics.values()) {
      for (const state of queues.values()) {
        this.#judge(state);
        facts.push(this.#scan(state, log));
      }
    }
    return facts;
  }

  #judge(state: QueueState): void {
    const findings = this.#findings;
    const where = state.segments.dir;
    if (state.missing > 0) {
      const what = `${state.missing} messages of the log are not listed; the first: ${state.firstMissing}`;
      findings.add("problem", AREA, "missing units", where, what);
    }
    for (const text of state.wrong) findings.add("problem", AREA, "wrong unit", where, text);
    if (state.wrongs > state.wrong.length) {
      findings.add("problem", AREA, "wrong unit", where, `${state.wrongs} units of this queue are wrong`);
    }
    if (state.otherDues > 0) {
      const what = `${state.otherDues} messages are due at other times than messageDelayLevel says, the first: ${state.firstOtherDue}`;
      findings.add("note", AREA, "due times", where, what);
    }
    if (state.gaps > 0) {
      const what = `the log has no message for ${state.gaps} places, from ${state.firstGap} on`;
      findings.add("note", AREA, "places without message", where, what);
    }
  }

  /** Looks at each unit by itself: those that no message asked for. */
  #scan(state: QueueState, log: LogFacts): QueueFacts {
    const { segments } = state;
    const facts: QueueFacts = { topic: state.topic, queueId: state.queueId, min: -1, max: 0 };
    if (segments.count === 0) return { ...facts, min: 0 };
    const buf = Buffer.allocUnsafe(SCAN_UNITS * UNIT_BYTES);
    let previous = -1;
    let zeros = 0;
    let behind = 0;
    let at = segments.firstOffset;
    facts.max = at / UNIT_BYTES;
    while (segments.has(at)) {
      const got = segments.read(buf, 0, buf.length, at);
      let any = false;
      for (let p = 0; p + UNIT_BYTES <= got; p += UNIT_BYTES) {
        const q = (at + p) / UNIT_BYTES;
        const size = buf.readInt32BE(p + 8);
        const logOffset = readInt64OrMinus1(buf, p);
        if (size === 0 && logOffset === 0) {
          zeros++;
          continue;
        }
        any = true;
        if (zeros > 0) this.#holeOfZeros(state, q - zeros, zeros);
        zeros = 0;
        facts.max = q + 1;
        if (size === BLANK_SIZE) continue;
        this.units++;
        if (size <= 0 || logOffset < 0) {
          this.#isOdd(state, q, `is no unit: log offset ${logOffset}, ${size} bytes`);
          continue;
        }
        if (logOffset < previous) this.#isOdd(state, q, `goes back in the log: from ${previous} to ${logOffset}`);
        previous = logOffset;
        if (logOffset < log.first) continue;
        if (facts.min < 0) facts.min = q;
        this.live++;
        if (logOffset + size > log.end) {
          if (behind++ === 0) {
            const what = `unit ${q} points to ${logOffset}, behind the end of the log at ${log.end}: a start cuts from it on`;
            this.#findings.add("problem", AREA, "behind the log", segments.dir, what);
          }
        } else if (q < state.first || q > state.last) {
          const inHole = log.holes.some(({ from, to }) => logOffset >= from && logOffset < to);
          if (!inHole) this.#isOdd(state, q, `points to log offset ${logOffset}, where no message of this place is`);
        }
      }
      at += got - (got % UNIT_BYTES);
      if (got < UNIT_BYTES || (!any && at / UNIT_BYTES > state.last)) break;
    }
    if (facts.min < 0) facts.min = facts.max;
    return facts;
  }

  #isOdd(state: QueueState, queueOffset: number, text: string): void {
    this.#findings.add("problem", AREA, "wrong unit", state.segments.dir, `unit ${queueOffset} ${text}`);
  }

  #holeOfZeros(state: QueueState, from: number, count: number): void {
    // Units that messages of the log ask for are told as missing already.
    if (from >= state.first && from + count - 1 <= state.last) return;
    const what = `${count} units of zeros from ${from} on, in the middle of the queue`;
    this.#findings.add("problem", AREA, "zeros", state.segments.dir, what);
  }

  /**
   * Messages without a queue: their topic was deleted, or the queue is lost.
   * @param isDeleted whether something else than the queues says that a topic was deleted
   */
  judgeUnlisted(isDeleted: (topic: string) => boolean): void {
    for (const { topic, queueId, count, lastLogOffset } of this.#unlisted.values()) {
      const where = path.join(this.#layout.queueDir, topic, String(queueId));
      const what = `${count} messages in the log (the last at ${lastLogOffset}), but no queue`;
      const remade = [...(this.#topics.get(topic)?.values() ?? [])].some((state) => state.livesBefore > 0);
      if (remade || isDeleted(topic)) {
        this.#findings.add("note", AREA, "deleted topic", where, `${what}: the topic was deleted`);
      } else {
        this.#findings.add("problem", AREA, "missing queue", where, what);
      }
    }
  }

  /** Java's hash of `topic#`. */
  prefixHash(topic: string): number {
    let hash = this.#prefixes.get(topic);
    if (hash === undefined) {
      hash = javaHashCode(`${topic}#`);
      if (this.#prefixes.size < UNLISTED_MAX) this.#prefixes.set(topic, hash);
    }
    return hash;
  }

  readonly #prefixes = new Map<string, number>();
}
