// The loads: what is kept in flight on a connection. Each validates every reply (code 0, an opaque that is outstanding; for pulls the queue
// and the dense queue offsets of every record) and reports to a Recorder.
import { Connection } from "./connection.mjs";
import {
  heartbeatRequest,
  maxOffsetRequest,
  OPAQUE_BASE,
  parseReply,
  pullRequest,
  putEightDigits,
  RESPONSE,
  ReplyScanner,
  sendTemplate,
} from "./wire.mjs";

const WINDOW = 1 << 16;

/** Sends on one connection. Frames stand pre-encoded in a ring twice as long as what may be in flight, so that bytes still in the kernel's queue are never patched. */
class Sender {
  acknowledged = 0;
  #connection;
  #recorder;
  #template;
  #queues;
  #ring;
  #ringFrames;
  #sent = 0;
  #answered = 0;
  #freed = 0;
  #outstanding = new Uint32Array(WINDOW);
  #sentAt = new Float64Array(WINDOW);
  #scanner = new ReplyScanner();
  /** Closed loop: every answer is followed by a new request until stopped. */
  refill = true;

  constructor(connection, recorder, { template, ringFrames, queues }) {
    this.#connection = connection;
    this.#recorder = recorder;
    this.#template = template;
    this.#queues = queues;
    this.#ringFrames = ringFrames;
    const { bytes, frameOf } = template;
    this.#ring = Buffer.concat(Array.from({ length: ringFrames }, (_, slot) => frameOf?.(slot) ?? bytes));
    connection.onFrame = (buffer, start, end) => this.#onReply(buffer, start, end);
    connection.onTurn = () => this.#onTurn();
    connection.onError = (error) => recorder.error(error);
  }

  get inFlight() {
    return this.#sent - this.#answered;
  }

  /** Sends `count` messages now. `stamp` (milliseconds) goes into the first bytes of the body if given. */
  send(count, stamp) {
    const length = this.#template.bytes.length;
    const now = performance.now();
    let first = this.#sent % this.#ringFrames;
    let slot = first;
    for (let i = 0; i < count; i++) {
      this.#patch(slot * length, this.#sent, stamp);
      this.#sentAt[this.#sent & (WINDOW - 1)] = now;
      this.#outstanding[this.#sent & (WINDOW - 1)] = ++this.#sent;
      if (++slot === this.#ringFrames) {
        this.#connection.write(this.#ring.subarray(first * length));
        first = slot = 0;
      }
    }
    if (slot > first) this.#connection.write(this.#ring.subarray(first * length, slot * length));
  }

  #patch(frameAt, number, stamp) {
    const { opaqueAt, keyAt, queueAt, bodyAt, binary, frameOf } = this.#template;
    const ring = this.#ring;
    if (binary) ring.writeUInt32BE(OPAQUE_BASE + number, frameAt + opaqueAt);
    else putEightDigits(ring, frameAt + opaqueAt + 1, number);
    if (frameOf !== undefined) return;
    putEightDigits(ring, frameAt + keyAt, number);
    ring[frameAt + queueAt] = 48 + (number % this.#queues);
    if (stamp !== undefined) ring.writeDoubleBE(stamp, frameAt + bodyAt);
  }

  #onReply(buffer, start, end) {
    const scanner = this.#scanner;
    scanner.scan(buffer, start);
    if (!scanner.isReply) return;
    const number = scanner.opaque - OPAQUE_BASE;
    const place = number & (WINDOW - 1);
    if (this.#outstanding[place] !== number + 1) {
      this.#recorder.error(`reply with opaque ${scanner.opaque}, which is not outstanding`);
      return;
    }
    this.#outstanding[place] = 0;
    this.#answered++;
    this.#freed++;
    if (scanner.code !== RESPONSE.SUCCESS) {
      const { code, remark } = parseReply(buffer, start, end);
      this.#recorder.error(`code ${code}: ${remark}`);
      return;
    }
    this.acknowledged++;
    this.#recorder.messages++;
    this.#recorder.sample(this.#connection.readAt - this.#sentAt[place]);
  }

  #onTurn() {
    const freed = this.#freed;
    this.#freed = 0;
    if (this.refill && freed > 0) this.send(freed);
  }
}

const COMMIT_LOG_MAGIC = 0xdaa320a7;
/** Within a record with IPv4 hosts, TotalSize first: MagicCode, QueueId, QueueOffset, BodyLength, Body. */
const RECORD = { magic: 4, queueId: 12, queueOffset: 20, bodyLength: 84, body: 88 };

/** One walk through one queue: one pull in flight at any time. */
class Walker {
  constructor(queueId, from, begin, end) {
    this.queueId = queueId;
    this.next = from;
    this.begin = begin;
    this.end = end;
    this.sentAt = 0;
  }
}

/** Pulls on one connection, one request in flight per walker. */
class Puller {
  #connection;
  #recorder;
  #options;
  #walkers;
  #scanner = new ReplyScanner();
  #stopped = false;

  /** With `stamped` the latency is that of each message since its stamp, else that of the request. */
  constructor(connection, recorder, walkers, options) {
    this.#connection = connection;
    this.#recorder = recorder;
    this.#walkers = walkers;
    this.#options = options;
    connection.onFrame = (buffer, start, end) => this.#onReply(buffer, start, end);
    connection.onTurn = () => {};
    connection.onError = (error) => recorder.error(error);
  }

  start() {
    this.#walkers.forEach((_, index) => {
      this.#pull(index);
    });
  }

  stop() {
    this.#stopped = true;
  }

  #pull(index) {
    if (this.#stopped) return;
    const walker = this.#walkers[index];
    walker.sentAt = performance.now();
    this.#connection.write(
      pullRequest({
        ...this.#options,
        maxMessages: 32,
        queueId: walker.queueId,
        queueOffset: walker.next,
        opaque: OPAQUE_BASE + index,
      }),
    );
  }

  #onReply(buffer, start, end) {
    const scanner = this.#scanner;
    scanner.scan(buffer, start);
    if (!scanner.isReply) return;
    const index = scanner.opaque - OPAQUE_BASE;
    const walker = this.#walkers[index];
    if (walker === undefined) {
      this.#recorder.error(`reply with opaque ${scanner.opaque}, which is not outstanding`);
      return;
    }
    const headerLength = (buffer[start + 5] << 16) | (buffer[start + 6] << 8) | buffer[start + 7];
    if (scanner.code === RESPONSE.SUCCESS) {
      this.#read(walker, buffer, start + 8 + headerLength, end);
      if (!this.#options.stamped) this.#recorder.sample(this.#connection.readAt - walker.sentAt);
    } else if (scanner.code !== RESPONSE.PULL_NOT_FOUND || this.#options.holdMs === 0) {
      const { code, remark } = parseReply(buffer, start, end);
      this.#recorder.error(`code ${code}: ${remark}`);
      return;
    }
    if (walker.next >= walker.end) walker.next = walker.begin;
    this.#pull(index);
  }

  #read(walker, buffer, at, end) {
    const now = this.#connection.readAt;
    while (at < end) {
      const wrong =
        buffer.readUInt32BE(at + RECORD.magic) !== COMMIT_LOG_MAGIC ||
        buffer.readUInt32BE(at + RECORD.queueId) !== walker.queueId ||
        buffer.readUInt32BE(at + RECORD.queueOffset + 4) !== walker.next;
      if (wrong) {
        this.#recorder.error(`queue ${walker.queueId}: the record at queue offset ${walker.next} is another one`);
        return;
      }
      if (this.#options.stamped) this.#recorder.sample(now - buffer.readDoubleBE(at + RECORD.body));
      walker.next++;
      this.#recorder.messages++;
      at += buffer.readUInt32BE(at);
    }
  }
}

const HEX_KEY_DIGITS = 24;

function uniqueKeyPrefix(connectionNumber) {
  const process16 = process.pid.toString(16).toUpperCase().padStart(8, "0");
  const time16 = Date.now().toString(16).toUpperCase().slice(-8);
  const prefix = process16 + time16 + connectionNumber.toString(16).toUpperCase().padStart(8, "0");
  return prefix.slice(-HEX_KEY_DIGITS);
}

async function openSender(recorder, options, connectionNumber, inFlight) {
  const connection = await Connection.open(options.port);
  const template = sendTemplate({
    topic: options.topic,
    bodyBytes: options.bodyBytes,
    binary: options.binary,
    keyPrefix: uniqueKeyPrefix(connectionNumber),
    queues: options.queues,
  });
  return new Sender(connection, recorder, { template, ringFrames: 2 * inFlight, queues: options.queues });
}

/** Closed loop: `connections` x `inFlight` sends outstanding; stops by itself after `count` acknowledgements if that is given. */
export async function sendLoad(recorder, options) {
  const senders = [];
  for (let i = 0; i < options.connections; i++) {
    senders.push(await openSender(recorder, options, i, options.inFlight));
  }
  for (const sender of senders) sender.send(options.inFlight);
  const acknowledged = () => senders.reduce((sum, sender) => sum + sender.acknowledged, 0);
  return {
    acknowledged,
    /** Lets what is outstanding come in; what does not come in 5 s is an error. */
    async stop() {
      for (const sender of senders) sender.refill = false;
      await drained(recorder, () => senders.reduce((sum, sender) => sum + sender.inFlight, 0));
    },
  };
}

async function drained(recorder, outstanding) {
  for (const deadline = performance.now() + 5000; outstanding() > 0; ) {
    if (performance.now() > deadline) {
      recorder.error(`${outstanding()} requests were never answered`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function queueEnds(connection, { topic, queues }) {
  const ends = [];
  for (let queueId = 0; queueId < queues; queueId++) {
    const reply = await connection.call(maxOffsetRequest(topic, queueId, OPAQUE_BASE));
    ends.push(Number(reply.extFields.offset));
  }
  return ends;
}

async function openPuller(recorder, options, walkers, connectionNumber) {
  const connection = await Connection.open(options.port);
  const subVersion = Date.now();
  const group = `bench_group_${options.topic}`;
  const clientId = `bench@${process.pid}#${connectionNumber}`;
  const heartbeat = heartbeatRequest({ group, topic: options.topic, clientId, subVersion, opaque: OPAQUE_BASE });
  const reply = await connection.call(heartbeat);
  if (reply.code !== RESPONSE.SUCCESS) throw new Error(`heartbeat refused, code ${reply.code}: ${reply.remark}`);
  return new Puller(connection, recorder, walkers, { ...options, group, subVersion });
}

/** Closed loop over a backlog: `connections` x `inFlight` pulls of 32. With `last` only that many messages at each queue's end are read, over and over. */
export async function pullLoad(recorder, options) {
  const probe = await Connection.open(options.port);
  const ends = await queueEnds(probe, options);
  probe.close();
  const walkersPerQueue = (options.connections * options.inFlight) / options.queues;
  const pullers = [];
  for (let i = 0; i < options.connections; i++) {
    const walkers = Array.from({ length: options.inFlight }, (_, slot) => {
      const number = i * options.inFlight + slot;
      const queueId = number % options.queues;
      const end = ends[queueId];
      const begin = options.last ? Math.max(0, end - options.last) : 0;
      const share = Math.floor(number / options.queues) / walkersPerQueue;
      return new Walker(queueId, begin + Math.floor((end - begin) * share), begin, end);
    });
    pullers.push(await openPuller(recorder, { ...options, holdMs: 0, stamped: false }, walkers, i));
  }
  for (const puller of pullers) puller.start();
  return {
    acknowledged: () => 0,
    async stop() {
      for (const puller of pullers) puller.stop();
    },
  };
}

/** Open loop: `rate` messages per second on one connection, one held pull per queue on another; latency from the send call to the consumer's read. */
export async function pollLoad(recorder, options) {
  const sent = new Recorderless(recorder);
  const sender = await openSender(sent, options, 0, options.rate / 4);
  sender.refill = false;
  const walkers = Array.from(
    { length: options.queues },
    (_, queueId) => new Walker(queueId, 0, 0, Number.MAX_SAFE_INTEGER),
  );
  const puller = await openPuller(recorder, { ...options, holdMs: 15_000, stamped: true }, walkers, 1);
  puller.start();
  const beganAt = performance.now();
  let planned = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    const due = Math.floor(((now - beganAt) / 1000) * options.rate) - planned;
    const most = options.rate / 4 - sender.inFlight;
    if (due > most) recorder.error(`${sender.inFlight} sends unanswered: the server does not keep the rate`);
    const count = Math.min(due, most);
    planned += due;
    if (count > 0) sender.send(count, now);
  }, 1);
  return {
    acknowledged: () => sender.acknowledged,
    async stop() {
      clearInterval(timer);
      await drained(recorder, () => sender.inFlight);
      await new Promise((resolve) => setTimeout(resolve, 500));
      puller.stop();
    },
  };
}

/** Takes the sender's errors over but not its counts: in an end-to-end run the consumer counts. */
class Recorderless {
  messages = 0;
  #recorder;

  constructor(recorder) {
    this.#recorder = recorder;
  }

  sample() {}

  error(reason) {
    this.#recorder.error(reason);
  }
}
