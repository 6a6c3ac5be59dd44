// The transactional load: half message, its answer, END_TRANSACTION with commit, its answer; so many transactions in flight on a connection.
// Clients send END_TRANSACTION oneway; here it is answered, so that every commit is checked and nothing piles up in the server unseen.
import { Connection } from "./connection.mjs";
import { jsonRequest, OPAQUE_BASE, parseReply, putEightDigits, REQUEST, RESPONSE, ReplyScanner } from "./wire.mjs";

const WINDOW = 1 << 16;
const GROUP = "bench_producer";
const COMMIT = "8";
const PREPARED = "4";
/** Offsets are written with this many digits, so that they can be patched in place. */
const OFFSET_DIGITS = 16;
const ZEROS = "0".repeat(OFFSET_DIGITS);

/** The SEND_MESSAGE_V2 of a transaction, as the Java client 5.5.0 sends it, and where its changing bytes stand. */
function halfTemplate({ topic, bodyBytes, keyPrefix }) {
  const extFields = {
    a: GROUP,
    b: topic,
    c: "TBW102",
    d: "4",
    e: "0",
    f: PREPARED,
    g: String(Date.now()),
    h: "0",
    i: `TRAN_MSG\u0001true\u0002UNIQ_KEY\u0001${keyPrefix}00000000\u0002WAIT\u0001true\u0002PGROUP\u0001${GROUP}\u0002TAGS\u0001bench\u0002`,
    j: "0",
    k: "false",
    m: "false",
    n: "broker-a",
  };
  const bytes = jsonRequest(REQUEST.SEND_MESSAGE_V2, extFields, OPAQUE_BASE, Buffer.alloc(bodyBytes, "x"));
  return {
    bytes,
    opaqueAt: after(bytes, '"opaque":'),
    keyAt: after(bytes, keyPrefix),
    queueAt: after(bytes, '"e":"'),
  };
}

function endTemplate({ topic, keyPrefix }) {
  const extFields = {
    topic,
    commitLogOffset: ZEROS,
    commitOrRollback: COMMIT,
    fromTransactionCheck: "false",
    msgId: `${keyPrefix}00000000`,
    producerGroup: GROUP,
    tranStateTableOffset: ZEROS,
    transactionId: `${keyPrefix}00000000`,
    bname: "broker-a",
  };
  const bytes = jsonRequest(REQUEST.END_TRANSACTION, extFields, OPAQUE_BASE);
  return {
    bytes,
    opaqueAt: after(bytes, '"opaque":'),
    logOffsetAt: after(bytes, '"commitLogOffset":"'),
    halfOffsetAt: after(bytes, '"tranStateTableOffset":"'),
  };
}

function after(bytes, text) {
  return bytes.indexOf(text, 0, "latin1") + text.length;
}

function putSixteenDigits(buffer, at, value) {
  const high = Math.floor(value / 1e8);
  putEightDigits(buffer, at, high);
  putEightDigits(buffer, at + 8, value - high * 1e8);
}

/** A decimal number that ends with a quote. */
function readDecimal(buffer, at) {
  let value = 0;
  for (let i = at; buffer[i] !== 0x22; i++) value = value * 10 + buffer[i] - 48;
  return value;
}

/** Transactions on one connection: number n has the opaques 2n (half) and 2n + 1 (end). */
class Transactor {
  acknowledged = 0;
  refill = true;
  #connection;
  #recorder;
  #half;
  #end;
  #halfRing;
  #endRing;
  #slots;
  #queues;
  #begun = 0;
  #ended = 0;
  /** Ended since the last turn: so many begin anew. */
  #freed = 0;
  /** Ends put into their ring, and those of them that were written. */
  #commits = 0;
  #written = 0;
  /** By number: 1 half sent, 2 end sent, 0 none. */
  #state = new Uint8Array(WINDOW);
  #beganAt = new Float64Array(WINDOW);
  #scanner = new ReplyScanner();

  constructor(connection, recorder, { half, end, slots, queues }) {
    this.#connection = connection;
    this.#recorder = recorder;
    this.#half = half;
    this.#end = end;
    this.#slots = slots;
    this.#queues = queues;
    // Twice as long as what may be in flight, so that bytes still in the kernel's queue are never patched.
    this.#halfRing = Buffer.concat(Array.from({ length: slots }, () => half.bytes));
    this.#endRing = Buffer.concat(Array.from({ length: slots }, () => end.bytes));
    connection.onFrame = (buffer, start, stop) => this.#onReply(buffer, start, stop);
    connection.onTurn = () => this.#onTurn();
    connection.onError = (error) => recorder.error(error);
  }

  get inFlight() {
    return this.#begun - this.#ended;
  }

  begin(count) {
    const { bytes, opaqueAt, keyAt, queueAt } = this.#half;
    const ring = this.#halfRing;
    const now = performance.now();
    for (let i = 0; i < count; i++) {
      const number = this.#begun++;
      const at = (number % this.#slots) * bytes.length;
      putEightDigits(ring, at + opaqueAt + 1, 2 * number);
      putEightDigits(ring, at + keyAt, number);
      ring[at + queueAt] = 48 + (number % this.#queues);
      this.#state[number & (WINDOW - 1)] = 1;
      this.#beganAt[number & (WINDOW - 1)] = now;
    }
    this.#write(ring, bytes.length, this.#begun - count, count);
  }

  /** The frames of a read's answers go out together at the end of the turn. */
  #commit(number, halfOffset, logOffset) {
    const { bytes, opaqueAt, logOffsetAt, halfOffsetAt } = this.#end;
    const ring = this.#endRing;
    const at = (this.#commits % this.#slots) * bytes.length;
    this.#commits++;
    putEightDigits(ring, at + opaqueAt + 1, 2 * number + 1);
    putSixteenDigits(ring, at + logOffsetAt, logOffset);
    putSixteenDigits(ring, at + halfOffsetAt, halfOffset);
    this.#state[number & (WINDOW - 1)] = 2;
  }

  /** Writes `count` frames of a ring from frame number `first` on. */
  #write(ring, length, first, count) {
    const from = first % this.#slots;
    const whole = Math.min(count, this.#slots - from);
    this.#connection.write(ring.subarray(from * length, (from + whole) * length));
    if (whole < count) this.#connection.write(ring.subarray(0, (count - whole) * length));
  }

  #onReply(buffer, start, stop) {
    const scanner = this.#scanner;
    scanner.scan(buffer, start);
    if (!scanner.isReply) return;
    const opaque = scanner.opaque - OPAQUE_BASE;
    const number = opaque >> 1;
    const place = number & (WINDOW - 1);
    const isEnd = (opaque & 1) === 1;
    if (number >= this.#begun || this.#state[place] !== (isEnd ? 2 : 1)) {
      this.#recorder.error(`reply with opaque ${scanner.opaque}, which is not outstanding`);
      return;
    }
    if (scanner.code !== RESPONSE.SUCCESS) {
      const { code, remark } = parseReply(buffer, start, stop);
      this.#recorder.error(`${isEnd ? "end" : "half message"}: code ${code}: ${remark}`);
      this.#over(place);
      return;
    }
    if (!isEnd) {
      const halfOffset = readDecimal(buffer, buffer.indexOf(QUEUE_OFFSET, start) + QUEUE_OFFSET.length);
      const idAt = buffer.indexOf(MESSAGE_ID, start) + MESSAGE_ID.length;
      this.#commit(number, halfOffset, Number.parseInt(buffer.latin1Slice(idAt + 16, idAt + 32), 16));
      return;
    }
    this.#over(place);
    this.acknowledged++;
    this.#recorder.messages++;
    this.#recorder.sample(this.#connection.readAt - this.#beganAt[place]);
  }

  #over(place) {
    this.#state[place] = 0;
    this.#ended++;
    this.#freed++;
  }

  #onTurn() {
    const commits = this.#commits - this.#written;
    if (commits > 0) this.#write(this.#endRing, this.#end.bytes.length, this.#written, commits);
    this.#written = this.#commits;
    const freed = this.#freed;
    this.#freed = 0;
    if (this.refill && freed > 0) this.begin(freed);
  }
}

const QUEUE_OFFSET = Buffer.from('"queueOffset":"');
const MESSAGE_ID = Buffer.from('"msgId":"');

/** Closed loop: `connections` x `inFlight` transactions. A message counts when its commit is answered. */
export async function transactionLoad(recorder, options) {
  const transactors = [];
  for (let i = 0; i < options.connections; i++) {
    const connection = await Connection.open(options.port);
    const keyPrefix =
      `${process.pid.toString(16)}${Date.now().toString(16)}`.toUpperCase().slice(-20) + `${i}`.padStart(4, "0");
    const shape = { topic: options.topic, bodyBytes: options.bodyBytes, keyPrefix: keyPrefix.padStart(24, "0") };
    transactors.push(
      new Transactor(connection, recorder, {
        half: halfTemplate(shape),
        end: endTemplate(shape),
        slots: 2 * options.inFlight,
        queues: options.queues,
      }),
    );
  }
  for (const transactor of transactors) transactor.begin(options.inFlight);
  const inFlight = () => transactors.reduce((sum, transactor) => sum + transactor.inFlight, 0);
  return {
    acknowledged: () => transactors.reduce((sum, transactor) => sum + transactor.acknowledged, 0),
    /** Lets what is outstanding come in; what does not come in 5 s is an error. */
    async stop() {
      for (const transactor of transactors) transactor.refill = false;
      for (const deadline = performance.now() + 5000; inFlight() > 0; ) {
        if (performance.now() > deadline) {
          recorder.error(`${inFlight()} transactions were never answered`);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}
