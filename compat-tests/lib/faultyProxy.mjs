// A TCP proxy on loopback that does to connections what networks do: delays, stalls in one direction or both, cuts after a chosen number of
// bytes, resets, refusals. It knows no protocol. "up" is what flows from who connected towards the target, "down" the other way.
//
// Faults of single connections are planned before they come (`plan`); those of the network (`stall`, `refuse`, `cutAll`) hold for all there are
// and all to come, until `heal`. A stall loses nothing: like packets that are sent again and again, the bytes arrive once it is over.

import { connect, createServer } from "node:net";

/** @typedef {{ delayMs?: number, cutAfterBytes?: number, resetAfterBytes?: number }} Faults of one direction of one connection. */

export class FaultyProxy {
  #target;
  #server;
  #pairs = new Set();
  #stalled = { up: false, down: false };
  #refusing = false;
  /** How many connections have come. */
  connections = 0;
  /** Bytes that were handed on, in all connections together. */
  passed = { up: 0, down: 0 };
  /**
   * Says what happens to connection `number` (from 0).
   * @type {(number: number) => { up?: Faults, down?: Faults }}
   */
  plan = () => ({});

  /** @param {{ port: number, host?: string }} target */
  constructor({ port, host = "127.0.0.1" }) {
    this.#target = { port, host };
  }

  /** Listens on loopback; resolves with the port. */
  listen(port = 0) {
    // Half open, because what one side still sends after the other's end belongs to the connection.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", () => resolve(this.#server.address().port));
    });
  }

  get living() {
    return this.#pairs.size;
  }

  /** Keeps back what flows in this direction. */
  stall(direction) {
    this.#stalled[direction] = true;
    for (const pair of this.#pairs) pair[direction].hold("stalled", true);
  }

  /** New connections are reset. */
  refuse() {
    this.#refusing = true;
  }

  /** Ends stalls and refusals. */
  heal() {
    this.#refusing = false;
    for (const direction of ["up", "down"]) {
      this.#stalled[direction] = false;
      for (const pair of this.#pairs) pair[direction].hold("stalled", false);
    }
  }

  /** Ends the connections that there are: by an orderly end, or by a reset. */
  cutAll({ reset = false } = {}) {
    for (const pair of this.#pairs) pair.end(reset);
  }

  close() {
    this.#server.close();
    this.cutAll({ reset: true });
  }

  #accept(client) {
    const number = this.connections++;
    if (this.#refusing) {
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    const target = connect({ ...this.#target, noDelay: true, allowHalfOpen: true });
    const faults = this.plan(number);
    const pair = {
      end: (reset) => {
        for (const socket of [client, target]) {
          if (reset) socket.resetAndDestroy();
          else socket.destroy();
        }
      },
    };
    const count = (direction) => (bytes) => {
      this.passed[direction] += bytes;
    };
    pair.up = new Direction(client, target, faults.up ?? {}, count("up"), pair.end);
    pair.down = new Direction(target, client, faults.down ?? {}, count("down"), pair.end);
    this.#pairs.add(pair);
    for (const direction of ["up", "down"]) pair[direction].hold("stalled", this.#stalled[direction]);
    for (const socket of [client, target]) {
      socket.on("error", () => pair.end(true));
      socket.on("close", () => {
        this.#pairs.delete(pair);
        // What is already on its way to the other side arrives there first.
        for (const other of [client, target]) if (!other.destroyed) other.end(() => other.destroy());
      });
    }
  }
}

/** What one socket says, handed on to the other. */
class Direction {
  #from;
  #to;
  #faults;
  #count;
  #end;
  #passed = 0;
  /** Reasons for not reading on. */
  #holds = new Set();
  /** Before this moment nothing may leave, so that delays keep the order. */
  #dueMs = 0;
  #over = false;

  constructor(from, to, faults, count, end) {
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    this.#count = count;
    this.#end = end;
    from.on("data", (bytes) => this.#later(() => this.#pass(bytes)));
    from.on("end", () => this.#later(() => this.#over || to.end()));
    to.on("drain", () => this.hold("full", false));
    // A connection that is to be cut before its first byte waits for nothing.
    if (this.#limit === 0) this.#pass(Buffer.alloc(0));
  }

  get #limit() {
    return this.#faults.cutAfterBytes ?? this.#faults.resetAfterBytes ?? Number.POSITIVE_INFINITY;
  }

  hold(reason, on) {
    if (on) this.#holds.add(reason);
    else this.#holds.delete(reason);
    if (this.#holds.size > 0) this.#from.pause();
    else this.#from.resume();
  }

  #later(action) {
    const { delayMs = 0 } = this.#faults;
    if (delayMs === 0) {
      action();
      return;
    }
    const now = performance.now();
    this.#dueMs = Math.max(this.#dueMs, now + delayMs);
    setTimeout(action, this.#dueMs - now);
  }

  #pass(bytes) {
    if (this.#over || this.#to.destroyed) return;
    const rest = this.#limit - this.#passed;
    const piece = bytes.subarray(0, Math.min(rest, bytes.length));
    this.#passed += piece.length;
    this.#count(piece.length);
    if (piece.length === rest) {
      this.#over = true;
      const reset = this.#faults.cutAfterBytes === undefined;
      // The bytes before the cut arrive; a reset may overtake them, as it does on any network.
      this.#to.write(piece, () => {
        if (reset) this.#end(true);
        else {
          this.#from.destroy();
          this.#to.end(() => this.#to.destroy());
        }
      });
    } else if (!this.#to.write(piece)) this.hold("full", true);
  }
}
