// The attacker: a thread with many connections that send malformed frames, then a sound probe that must be answered.
// One connection's script depends on its seed alone, so `--seed S --connection N` plays it again.

import { connect } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { seeded } from "../chaos/lib/random.mjs";
import { decodeReply, encodeRequest, Splitter } from "../chaos/lib/wire.mjs";
import { Grammar } from "./grammar.mjs";

const { seed, frames: frameLimit, parallel, targets, only } = workerData;
/** Opaques of probes; the grammar counts from 1. Many bits apart: one flipped bit once made of a frame's opaque that of the probe behind it. */
const PROBE_OPAQUE = 0x5a5a5a00;
const ANSWER_MS = 1_000;
/** Answers to the other frames may take longer than the probe's: they were not held to be fast. */
const LATE_MS = 5_000;
const STUCK_MS = 5;
const SOURCES = 200;

const stats = {
  frames: 0,
  connections: 0,
  probes: 0,
  answered: 0,
  closedByServer: 0,
  kinds: {},
  slowestProbeMs: 0,
  codes: {},
};
let stallAt = 0;
let beat = performance.now();
setInterval(() => {
  const now = performance.now();
  // This thread itself was not running: what it measured meanwhile says nothing about the server.
  if (now - beat > 250) stallAt = now;
  beat = now;
}, 50).unref();

let next = 0;
let failures = 0;

function fail(connection, text) {
  failures++;
  parentPort.postMessage({ failure: `connection ${connection}: ${text}` });
}

async function run() {
  const lanes = Array.from({ length: parallel }, async () => {
    while (stats.frames < frameLimit && failures < 10) {
      const number = only ?? next++;
      await attack(number);
      if (only !== undefined) return;
    }
  });
  const report = setInterval(() => parentPort.postMessage({ stats }), 500);
  await Promise.all(lanes);
  clearInterval(report);
  parentPort.postMessage({ stats, done: true });
}

/** One connection from its opening to its end. */
async function attack(number) {
  const random = seeded((seed * 2654435761 + number * 40503) >>> 0);
  const target = random.pick(targets);
  const grammar = new Grammar(random);
  const peer = await Peer.open(target, number).catch((error) => {
    fail(number, `cannot connect to ${target.name}: ${error.message}`);
    return undefined;
  });
  if (peer === undefined) return;
  stats.connections++;
  const batches = random.between(1, 6);
  for (let b = 0; b < batches; b++) {
    const expected = [];
    for (let i = random.between(1, 40); i > 0; i--) {
      const frame = grammar.inStep();
      count(frame);
      await peer.write(frame);
      if (frame.answered === "known") expected.push(frame);
      // Nothing is sent into a connection that may be closing: it would count and reach nobody.
      if (frame.after === "either") break;
    }
    if (!(await peer.probe(expected, fail))) return;
  }
  if (random.chance(0.8)) {
    const frame = grammar.last();
    count(frame);
    await peer.write(frame);
    if (frame.after === "closes") await peer.mustClose(frame, fail);
    else await peer.closedWithin(STUCK_MS);
  }
  peer.destroy();
}

function count(frame) {
  stats.frames++;
  const kind = frame.kind.replace(/grammar .*/, "grammar").replace(/-?\d+/g, "n");
  stats.kinds[kind] = (stats.kinds[kind] ?? 0) + 1;
}

class Peer {
  #socket;
  #target;
  #number;
  #answered = new Set();
  #wake = () => {};
  #probes = 0;
  #probing = false;
  closed = false;

  static open(target, number) {
    return new Promise((resolve, reject) => {
      const localAddress = `127.0.0.${2 + (number % SOURCES)}`;
      const socket = connect({ host: "127.0.0.1", port: target.port, noDelay: true, localAddress });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new Peer(socket, target, number)));
    });
  }

  constructor(socket, target, number) {
    this.#socket = socket;
    this.#target = target;
    this.#number = number;
    const splitter = new Splitter((bytes) => {
      let reply;
      try {
        reply = decodeReply(bytes);
      } catch (error) {
        fail(
          number,
          `the server sent a reply that cannot be read (${error.message}): ${bytes.subarray(0, 200).toString("latin1")}`,
        );
        return;
      }
      if ((reply.flag & 1) === 0) return;
      stats.answered++;
      stats.codes[reply.code] = (stats.codes[reply.code] ?? 0) + 1;
      this.#answered.add(reply.opaque);
      // The opaque of a broken header may be any number, also a probe's to come; none hits the one that is out.
      if (reply.opaque === PROBE_OPAQUE + this.#probes - 1 && this.#probing && !this.#target.sound(reply)) {
        fail(number, `the probe of ${this.#target.name} was answered ${reply.code} ${reply.remark}`);
      }
    });
    socket.on("data", (chunk) => {
      splitter.push(chunk);
      this.#wake();
    });
    socket.removeAllListeners("error");
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  async write({ bytes, cuts }) {
    if (this.closed) return;
    if (cuts === undefined) {
      if (!this.#socket.write(bytes)) await this.#drain();
      return;
    }
    let from = 0;
    for (const cut of [...cuts, bytes.length]) {
      if (cut <= from) continue;
      this.#socket.write(bytes.subarray(from, cut));
      from = cut;
      // A turn of this loop between pieces, so that they leave as packets of their own.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #drain() {
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.once("drain", done);
      this.#socket.once("close", done);
    });
  }

  /** False when the connection is over. A server may close it instead of answering; it may not stay silent. */
  async probe(expected, failed) {
    const opaque = PROBE_OPAQUE + this.#probes++;
    const began = performance.now();
    stats.probes++;
    this.#probing = true;
    if (!this.closed) this.#socket.write(encodeRequest({ ...this.#target.probe, opaque }));
    await this.#until(() => this.closed || this.#answered.has(opaque), LATE_MS);
    const ms = performance.now() - began;
    this.#probing = false;
    if (this.closed) {
      stats.closedByServer++;
      return false;
    }
    const stalled = stallAt >= began;
    if (!stalled) stats.slowestProbeMs = Math.max(stats.slowestProbeMs, ms);
    if (!this.#answered.has(opaque) || (ms > ANSWER_MS && !stalled)) {
      failed(this.#number, `probe ${this.#probes} of ${this.#target.name} answered after ${ms.toFixed(0)} ms`);
    }
    const silent = () => expected.filter((frame) => !this.#answered.has(frame.opaque));
    if (silent().length > 0) await this.#until(() => this.closed || silent().length === 0, LATE_MS);
    if (!this.closed && silent().length > 0) {
      const frame = silent()[0];
      failed(
        this.#number,
        `no answer to ${frame.kind} on ${this.#target.name}: ${frame.bytes.subarray(0, 600).toString("base64")}`,
      );
    }
    return !this.closed;
  }

  async mustClose(frame, failed) {
    const began = performance.now();
    if (await this.closedWithin(LATE_MS)) {
      const ms = performance.now() - began;
      stats.closedByServer++;
      if (ms > ANSWER_MS && stallAt < began)
        failed(this.#number, `${frame.kind}: closed only after ${ms.toFixed(0)} ms`);
    } else {
      failed(this.#number, `${frame.kind}: the connection was not closed`);
    }
  }

  async closedWithin(ms) {
    await this.#until(() => this.closed, ms);
    return this.closed;
  }

  #until(condition, ms) {
    return new Promise((resolve) => {
      if (condition()) {
        resolve();
        return;
      }
      const end = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#wake = () => condition() && end();
    });
  }

  destroy() {
    // A reset, so that a hundred thousand connections do not leave as many ports waiting.
    this.#socket.resetAndDestroy();
  }
}

/** Functions do not travel to a thread: what a target's sound answer is follows from its name. */
for (const target of targets) {
  target.sound =
    target.name === "namesrv"
      ? (r) => r.code === 0 && r.body.includes("broker")
      : (r) => r.code === 0 && Number(r.ext.offset) >= 0;
}
await run();
