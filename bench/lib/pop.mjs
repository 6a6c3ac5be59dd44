// The pop load: each slot pops 32 messages, acknowledges every one of them with a request of its own, as the Java client does, and pops
// again when all answers are in. Every reply is checked: code 0, an opaque that is outstanding, each record where the reply's header says
// it lies, and no message twice for a group. When a group has everything, the next group begins with the oldest message.
import { Connection } from "./connection.mjs";
import { jsonRequest, OPAQUE_BASE, parseReply, REQUEST, RESPONSE, ReplyScanner } from "./wire.mjs";

const POP_OF = 32;
const INVISIBLE_MS = 60_000;
/** Opaques of one slot: a pop and up to 32 acknowledgements. */
const PER_SLOT = 64;
const COMMIT_LOG_MAGIC = 0xdaa320a7;
/** Within a record, TotalSize first: MagicCode, QueueId, QueueOffset. */
const RECORD = { magic: 4, queueId: 12, queueOffset: 20 };

/** What a group has had: a bit per message of each queue. */
class Group {
  constructor(name, queues) {
    this.name = name;
    this.had = Array.from({ length: queues }, () => new Uint8Array(1 << 20));
  }

  /** False when the message was popped before. */
  take(queueId, offset) {
    const had = this.had[queueId];
    if (had[offset] === 1) return false;
    had[offset] = 1;
    return true;
  }
}

/** The groups of one run, one after the other. */
class Groups {
  #options;
  #count = 0;
  current;

  constructor(options) {
    this.#options = options;
    this.next(undefined);
  }

  /** Goes on to the next group, unless another slot did so already. */
  next(from) {
    if (from !== this.current) return;
    const { topic, queues } = this.#options;
    this.current = new Group(`bench_pop_${topic}_${++this.#count}`, queues);
  }
}

/** One pop at a time with its acknowledgements. */
class Slot {
  group;
  outstanding = 0;
  sentAt = 0;
  popping = false;
}

class Popper {
  acknowledged = 0;
  #connection;
  #recorder;
  #options;
  #groups;
  #slots;
  #scanner = new ReplyScanner();
  #stopped = false;

  constructor(connection, recorder, options, groups) {
    this.#connection = connection;
    this.#recorder = recorder;
    this.#options = options;
    this.#groups = groups;
    this.#slots = Array.from({ length: options.inFlight }, () => new Slot());
    connection.onFrame = (buffer, start, end) => this.#onReply(buffer, start, end);
    connection.onTurn = () => {};
    connection.onError = (error) => recorder.error(error);
  }

  start() {
    for (let index = 0; index < this.#slots.length; index++) this.#pop(index);
  }

  stop() {
    this.#stopped = true;
  }

  #pop(index) {
    if (this.#stopped) return;
    const slot = this.#slots[index];
    slot.group = this.#groups.current;
    slot.sentAt = performance.now();
    slot.popping = true;
    this.#connection.write(
      jsonRequest(
        REQUEST.POP_MESSAGE,
        {
          consumerGroup: slot.group.name,
          topic: this.#options.topic,
          queueId: "-1",
          maxMsgNums: String(POP_OF),
          invisibleTime: String(INVISIBLE_MS),
          pollTime: "0",
          bornTime: String(Date.now()),
          initMode: "0",
          expType: "TAG",
          exp: "*",
          order: "false",
        },
        OPAQUE_BASE + index * PER_SLOT,
      ),
    );
  }

  #onReply(buffer, start, end) {
    const scanner = this.#scanner;
    scanner.scan(buffer, start);
    if (!scanner.isReply) return;
    const number = scanner.opaque - OPAQUE_BASE;
    const index = Math.floor(number / PER_SLOT);
    const slot = this.#slots[index];
    const isPop = number % PER_SLOT === 0;
    if (slot === undefined || (isPop ? !slot.popping : slot.outstanding === 0)) {
      this.#recorder.error(`reply with opaque ${scanner.opaque}, which is not outstanding`);
      return;
    }
    if (isPop) this.#popped(index, slot, buffer, start, end);
    else this.#acked(index, slot, buffer, start, end);
  }

  #popped(index, slot, buffer, start, end) {
    slot.popping = false;
    const reply = parseReply(buffer, start, end);
    if (reply.code === RESPONSE.POLLING_TIMEOUT) {
      // Others may be taking what is left at this moment.
      if (reply.extFields.restNum === "0") this.#groups.next(slot.group);
      this.#pop(index);
      return;
    }
    if (reply.code !== RESPONSE.SUCCESS) {
      this.#recorder.error(`pop: code ${reply.code}: ${reply.remark}`);
      return;
    }
    this.#recorder.sample(this.#connection.readAt - slot.sentAt);
    this.#acknowledge(index, slot, reply);
  }

  /** Acknowledges every message of a reply; all requests leave with one write. */
  #acknowledge(index, slot, { extFields, body }) {
    const { startOffsetInfo, msgOffsetInfo, popTime, invisibleTime, reviveQid } = extFields;
    const starts = new Map(startOffsetInfo.split(";").map((entry) => [entry.slice(0, entry.lastIndexOf(" ")), entry]));
    const frames = [];
    let at = 0;
    for (const entry of msgOffsetInfo.split(";")) {
      const [kind, queueId, offsets] = entry.split(" ");
      const startOffset = starts.get(`${kind} ${queueId}`)?.split(" ")[2];
      for (const offset of offsets.split(",")) {
        const wrong =
          kind !== "0" ||
          startOffset === undefined ||
          at >= body.length ||
          body.readUInt32BE(at + RECORD.magic) !== COMMIT_LOG_MAGIC ||
          body.readUInt32BE(at + RECORD.queueId) !== Number(queueId) ||
          body.readUInt32BE(at + RECORD.queueOffset + 4) !== Number(offset);
        if (wrong) {
          this.#recorder.error(`the record for ${entry} at byte ${at} is another one`);
          return;
        }
        if (!slot.group.take(Number(queueId), Number(offset))) {
          this.#recorder.error(`queue ${queueId}: offset ${offset} was popped twice`);
          return;
        }
        at += body.readUInt32BE(at);
        frames.push(
          jsonRequest(
            REQUEST.ACK_MESSAGE,
            {
              consumerGroup: slot.group.name,
              topic: this.#options.topic,
              queueId,
              extraInfo: `${startOffset} ${popTime} ${invisibleTime} ${reviveQid} 0 broker-a ${queueId} ${offset}`,
              offset,
              bname: "broker-a",
            },
            OPAQUE_BASE + index * PER_SLOT + frames.length + 1,
          ),
        );
      }
    }
    if (at !== body.length) this.#recorder.error(`${body.length - at} bytes behind the last record`);
    slot.outstanding = frames.length;
    this.#connection.write(Buffer.concat(frames));
  }

  #acked(index, slot, buffer, start, end) {
    if (this.#scanner.code !== RESPONSE.SUCCESS) {
      const { code, remark } = parseReply(buffer, start, end);
      this.#recorder.error(`ack: code ${code}: ${remark}`);
    }
    this.#recorder.messages++;
    this.acknowledged++;
    if (--slot.outstanding === 0) this.#pop(index);
  }
}

/** Closed loop: `connections` x `inFlight` pops of 32, each followed by its acknowledgements. A message counts when its ack is answered. */
export async function popLoad(recorder, options) {
  const groups = new Groups(options);
  const poppers = [];
  for (let i = 0; i < options.connections; i++) {
    poppers.push(new Popper(await Connection.open(options.port), recorder, options, groups));
  }
  for (const popper of poppers) popper.start();
  return {
    acknowledged: () => 0,
    async stop() {
      for (const popper of poppers) popper.stop();
    },
  };
}
