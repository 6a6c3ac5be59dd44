// A lean gRPC client on a bare socket: pre-encoded headers by HPACK's dynamic table as clients use it, frames written once per turn, answers
// scanned and not decoded. What a server answers is checked in its messages (their status comes first); header blocks are skipped: an answer
// without a message is an error.
import net from "node:net";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES = 9;
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE] = [0, 1, 3, 4, 6, 7, 8];
const [END_STREAM, ACK, END_HEADERS, PADDED] = [1, 1, 4, 8];
const INITIAL_WINDOW_SIZE = 4;
const WINDOW_MAX = 2 ** 31 - 1;
const WINDOW_DEFAULT = 65_535;
const SLAB_BYTES = 1 << 20;
/** HPACK: the first index behind the static table; static names used here. */
const DYNAMIC = 62;
const STATIC_NAMES = { ":authority": 1, ":path": 4, "content-type": 31, "user-agent": 58 };
const [POST, HTTP] = [0x83, 0x86];

/** A call under way: `data` for its bytes, `end` when the server has ended it. */
export class H2Connection {
  #socket;
  #streams = new Map();
  #nextId = 1;
  #slab = Buffer.allocUnsafe(SLAB_BYTES);
  #used = 0;
  #flushing = false;
  #rest;
  #windowOut = WINDOW_DEFAULT;
  #consumed = 0;
  /** Calls that wait for the connection's window. */
  #waiting = [];
  #table = [];
  #blocks = new Map();
  #requestId = 0;

  /** @param {Record<string, string>} headers that every call has @param {(reason: string) => void} failed */
  static async open(port, headers, failed) {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new H2Connection(socket, { ":authority": `127.0.0.1:${port}`, ...headers }, failed);
  }

  constructor(socket, headers, failed) {
    this.#socket = socket;
    this.headers = headers;
    this.failed = failed;
    const settings = Buffer.alloc(HEAD_BYTES + 6);
    writeHead(settings, 0, 6, SETTINGS, 0, 0);
    settings.writeUInt16BE(INITIAL_WINDOW_SIZE, HEAD_BYTES);
    settings.writeUInt32BE(WINDOW_MAX, HEAD_BYTES + 2);
    socket.write(Buffer.concat([Buffer.from(PREFACE), settings, windowUpdate(WINDOW_MAX - WINDOW_DEFAULT)]));
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", (error) => failed(error.message));
    socket.on("close", () => this.#streams.size > 0 && failed("the connection was closed"));
  }

  /**
   * Begins a call. @param {Buffer} frame its first message with gRPC's five bytes
   * @param {{ data(buffer: Buffer, from: number, to: number): void, end(): void }} sink @param {boolean} open more messages may follow
   */
  call(path, frame, sink, open = false) {
    if (this.#windowOut < frame.length) {
      this.#waiting.push([path, frame, sink, open]);
      return;
    }
    const block = this.#blocks.get(path) ?? this.#newBlock(path);
    const bytes = 2 * HEAD_BYTES + block.length + frame.length;
    if (this.#used + bytes > SLAB_BYTES) this.#flush();
    const id = this.#nextId;
    this.#nextId += 2;
    const slab = this.#slab;
    let at = this.#used;
    writeHead(slab, at, block.length, HEADERS, END_HEADERS, id);
    at += HEAD_BYTES;
    block.copy(slab, at);
    at += block.length;
    slab.write((this.#requestId++ & 0xffffffff).toString(16).padStart(8, "0").slice(-8), at - 8, "latin1");
    writeHead(slab, at, frame.length, DATA, open ? 0 : END_STREAM, id);
    at += HEAD_BYTES;
    frame.copy(slab, at);
    this.#used += bytes;
    this.#windowOut -= frame.length;
    this.#streams.set(id, sink);
    this.#flushSoon();
  }

  close() {
    this.#streams.clear();
    this.#socket.destroy();
  }

  /** The first call of a path puts what it has not yet into the server's table; the block for all later ones follows from it. */
  #newBlock(path) {
    const stable = [
      [":path", path],
      ...Object.entries(this.headers),
      ["content-type", "application/grpc"],
      ["te", "trailers"],
    ];
    const literal = [];
    for (const [name, value] of stable) {
      if (this.#table.includes(`${name}\n${value}`)) continue;
      literal.push(name in STATIC_NAMES ? Buffer.of(0x40 | STATIC_NAMES[name]) : named(0x40, name), text(value));
      this.#table.push(`${name}\n${value}`);
    }
    if (literal.length > 0) {
      // Insertions alone are no request: they travel in the block of this one, before what refers to them.
      this.#blocks.clear();
      const first = Buffer.concat([Buffer.of(POST, HTTP), ...literal, ...this.#fromTable(stable, literal), volatile()]);
      return first;
    }
    const block = Buffer.concat([Buffer.of(POST, HTTP), ...this.#fromTable(stable, []), volatile()]);
    this.#blocks.set(path, block);
    return block;
  }

  /** Headers that the table had before this block. */
  #fromTable(stable, literal) {
    const inserted = literal.length / 2;
    const known = this.#table.length - inserted;
    return stable.flatMap(([name, value]) => {
      const at = this.#table.indexOf(`${name}\n${value}`);
      return at < known ? [Buffer.of(0x80 | (DYNAMIC + this.#table.length - 1 - at))] : [];
    });
  }

  #flushSoon() {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush() {
    if (this.#used === 0) return;
    this.#socket.write(this.#slab.subarray(0, this.#used));
    this.#slab = Buffer.allocUnsafe(SLAB_BYTES);
    this.#used = 0;
  }

  #take(chunk) {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = bytes.readUIntBE(at, 3);
      const end = at + HEAD_BYTES + length;
      if (end > bytes.length) break;
      this.#frame(bytes, bytes[at + 3], bytes[at + 4], bytes.readUInt32BE(at + 5), at + HEAD_BYTES, end);
      at = end;
    }
    this.#rest = at === bytes.length ? undefined : bytes.subarray(at);
  }

  #frame(bytes, type, flags, id, from, to) {
    switch (type) {
      case DATA:
        if (flags & PADDED) return this.failed("a padded frame");
        this.#consumed += to - from;
        if (this.#consumed > WINDOW_MAX / 2) {
          this.#socket.write(windowUpdate(this.#consumed));
          this.#consumed = 0;
        }
        this.#streams.get(id)?.data(bytes, from, to);
        if (flags & END_STREAM) this.#ended(id);
        return;
      case HEADERS:
        if (flags & END_STREAM) this.#ended(id);
        return;
      case SETTINGS:
        if (!(flags & ACK)) this.#control(SETTINGS, ACK, Buffer.alloc(0));
        return;
      case PING:
        if (!(flags & ACK)) this.#control(PING, ACK, Buffer.from(bytes.subarray(from, to)));
        return;
      case WINDOW_UPDATE:
        if (id !== 0) return;
        this.#windowOut += bytes.readUInt32BE(from);
        for (const call of this.#waiting.splice(0)) this.call(...call);
        return;
      case RST_STREAM:
        return this.failed(`stream ${id} was reset, code ${bytes.readUInt32BE(from)}`);
      case GOAWAY:
        return this.failed(`GOAWAY, code ${bytes.readUInt32BE(from + 4)}: ${bytes.toString("latin1", from + 8, to)}`);
      default:
    }
  }

  #ended(id) {
    const sink = this.#streams.get(id);
    this.#streams.delete(id);
    sink?.end();
  }

  #control(type, flags, payload) {
    const frame = Buffer.alloc(HEAD_BYTES + payload.length);
    writeHead(frame, 0, payload.length, type, flags, 0);
    payload.copy(frame, HEAD_BYTES);
    this.#socket.write(frame);
  }
}

function writeHead(buffer, at, length, type, flags, id) {
  buffer.writeUIntBE(length, at, 3);
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  buffer.writeUInt32BE(id, at + 5);
}

function windowUpdate(bytes) {
  const frame = Buffer.alloc(HEAD_BYTES + 4);
  writeHead(frame, 0, 4, WINDOW_UPDATE, 0, 0);
  frame.writeUInt32BE(bytes, HEAD_BYTES);
  return frame;
}

/** A string of less than 127 bytes, not Huffman coded. */
function text(value) {
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value, "latin1")]);
}

function named(kind, name) {
  return Buffer.concat([Buffer.of(kind), text(name)]);
}

/** What differs from call to call in the official clients: deadline and ids; the last eight bytes are the call's number. */
function volatile() {
  return Buffer.concat([
    named(0, "grpc-timeout"),
    text("29999876u"),
    named(0, "x-mq-date-time"),
    text("20260101T000000Z"),
    named(0, "x-mq-request-id"),
    text("7b7f0f06-2f0c-4b7e-9a5e-000000000000"),
  ]);
}
