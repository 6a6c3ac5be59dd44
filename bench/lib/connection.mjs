// One connection of the generator: splits replies into frames in a reused buffer. Nothing is allocated per reply.
import net from "node:net";
import tls from "node:tls";
import { isEncrypting } from "./secure.mjs";
import { isReply, parseReply } from "./wire.mjs";

const READ_BYTES = 256 * 1024;

export class Connection {
  /** Called for each whole frame: (buffer, start, end), start being that of the length field. Valid during the call only. */
  onFrame = () => {};
  /** Called once after all frames of one read: the place to write the next requests together. */
  onTurn = () => {};
  onError = () => {};
  /** When the bytes being handled were read; one clock reading serves all frames of a read. */
  readAt = 0;
  #socket;
  #buffer = Buffer.allocUnsafeSlow(2 * READ_BYTES);
  #filled = 0;

  static open(port, host = "127.0.0.1") {
    return new Promise((resolve, reject) => {
      const connection = new Connection();
      const chunk = Buffer.allocUnsafeSlow(READ_BYTES);
      const encrypts = isEncrypting();
      connection.#socket = (encrypts ? tls : net).connect({
        port,
        host,
        noDelay: true,
        // The servers make certificates of their own.
        rejectUnauthorized: false,
        onread: {
          buffer: chunk,
          callback: (length) => {
            connection.#take(chunk, length);
            return true;
          },
        },
      });
      connection.#socket.once(encrypts ? "secureConnect" : "connect", () => resolve(connection));
      connection.#socket.on("error", (error) => {
        reject(error);
        connection.onError(error);
      });
      connection.#socket.on("close", () => connection.onError(new Error("connection closed by the server")));
    });
  }

  write(bytes) {
    this.#socket.write(bytes);
  }

  close() {
    this.onError = () => {};
    this.#socket.destroy();
  }

  /** One request, one reply, by the slow way: for set-up only. */
  call(request) {
    return new Promise((resolve, reject) => {
      this.onError = reject;
      this.onFrame = (buffer, start, end) => {
        const reply = parseReply(buffer, start, end);
        if (isReply(reply)) resolve({ ...reply, body: Buffer.from(reply.body) });
      };
      this.write(request);
    });
  }

  #take(chunk, length) {
    this.readAt = performance.now();
    if (this.#filled + length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (this.#filled + length));
      this.#buffer.copy(larger, 0, 0, this.#filled);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#filled, 0, length);
    const filled = this.#filled + length;
    const buffer = this.#buffer;
    let at = 0;
    while (filled - at >= 4) {
      const end = at + 4 + buffer.readUInt32BE(at);
      if (end > filled) break;
      this.onFrame(buffer, at, end);
      at = end;
    }
    if (at > 0) buffer.copyWithin(0, at, filled);
    this.#filled = filled - at;
    this.onTurn();
  }
}
