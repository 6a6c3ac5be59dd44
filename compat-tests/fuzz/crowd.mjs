// Crowds of connections that are not malformed but rude: clients that pull and never read, floods of connections, handshakes and requests that
// begin and do not end, one client that makes thousands of topics.

import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createTopic, RawClient, sendHeader } from "../chaos/lib/client.mjs";
import { CODE, encodeRequest, properties } from "../chaos/lib/wire.mjs";

const BACKLOG_TOPIC = "FuzzBacklog";
const DELETE_TOPIC = 215;
const DELETE_LIMIT_MS = 300_000;

/** Stores messages for the slow readers to ask for. */
export async function fillBacklog(port, messages, bytes) {
  const client = await RawClient.open({ port });
  await createTopic(client, BACKLOG_TOPIC, 1);
  const body = Buffer.alloc(bytes, "b");
  for (let sent = 0; sent < messages; ) {
    const some = [];
    for (let i = 0; i < 64 && sent < messages; i++, sent++) {
      const header = sendHeader({
        group: "FuzzProducers",
        topic: BACKLOG_TOPIC,
        queueId: 0,
        properties: properties({ UNIQ_KEY: `B${sent}` }),
      });
      some.push(client.ask(CODE.SEND, header, body));
    }
    for (const reply of await Promise.all(some))
      if (reply.code !== 0) throw new Error(`backlog: ${reply.code} ${reply.remark}`);
  }
  client.destroy();
}

/** Connections that ask for the backlog again and again and never read a byte. */
export async function slowReaders(port, count, pullsEach, messages) {
  const sockets = [];
  for (let i = 0; i < count; i++) {
    const socket = await open(port, i);
    socket.pause();
    const frames = [];
    for (let k = 0; k < pullsEach; k++) {
      const ext = {
        consumerGroup: "FuzzSlow",
        topic: BACKLOG_TOPIC,
        queueId: 0,
        queueOffset: (i * 37 + k * 32) % Math.max(1, messages - 32),
        maxMsgNums: 32,
        sysFlag: 4,
        commitOffset: 0,
        suspendTimeoutMillis: 0,
        subscription: "*",
        subVersion: 0,
        expressionType: "TAG",
      };
      frames.push(encodeRequest({ code: CODE.PULL, opaque: k + 1, ext, binary: i % 2 === 1 }));
    }
    socket.write(Buffer.concat(frames));
    sockets.push(socket);
  }
  return { sockets, close: () => closeAll(sockets) };
}

/** Opens `count` connections as fast as they are taken; returns those that stayed open. */
export async function flood(port, count, parallel = 200) {
  const sockets = [];
  let refused = 0;
  let next = 0;
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (next < count) {
        const number = next++;
        try {
          sockets.push(await open(port, number));
        } catch {
          refused++;
          await sleep(10);
        }
      }
    }),
  );
  return { sockets, refused, close: () => closeAll(sockets) };
}

function open(port, number) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress: `127.0.0.${2 + (number % 200)}` });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

/** Connections that begin a TLS handshake and say no more. */
export async function halfHandshakes(port, count) {
  const flooded = await flood(port, count);
  // The beginning of a record of type handshake, which announces 500 bytes.
  for (const socket of flooded.sockets) socket.write(Buffer.from([22, 3, 1, 1, 244, 1, 0, 1, 240, 3, 3]));
  return flooded;
}

/** Connections that announce a large request and send a byte now and then. */
export async function slowloris(port, count, everyMs) {
  const flooded = await flood(port, count);
  const head = Buffer.alloc(4);
  head.writeInt32BE(8 * 1024 * 1024);
  for (const socket of flooded.sockets) socket.write(head);
  const timer = setInterval(() => {
    for (const socket of flooded.sockets) if (!socket.destroyed) socket.write("x");
  }, everyMs);
  const { close } = flooded;
  flooded.close = () => {
    clearInterval(timer);
    return close();
  };
  return flooded;
}

/** Connections that send all of a large request but its last byte. */
export async function almostWhole(port, count, bytes) {
  const flooded = await flood(port, count);
  const frame = Buffer.alloc(bytes + 3, 1);
  frame.writeInt32BE(bytes);
  for (const socket of flooded.sockets) {
    await new Promise((resolve) => {
      socket.once("close", resolve);
      socket.write(frame, resolve);
    });
  }
  return flooded;
}

/** One client sends to ever new topics; how many were made, and what the first refusal said. */
export async function manyTopics(port, count) {
  const client = await RawClient.open({ port });
  const made = [];
  let refusal;
  let next = 0;
  const one = async () => {
    while (next < count) {
      const topic = `Flood${next++}`;
      const header = sendHeader({ group: "FloodProducers", topic, queueId: 0, properties: "" });
      const { code, remark } = await client.ask(CODE.SEND, header, Buffer.from("x"));
      if (code === 0) made.push(topic);
      else refusal ??= `${code} ${remark}`;
    }
  };
  await Promise.all(Array.from({ length: 32 }, one));
  const remove = async () => {
    // Each is answered when the next checkpoint has it: all of them together wait for few of those.
    await Promise.all(
      made.map((topic) => client.ask(DELETE_TOPIC, { topic }, undefined, { timeoutMs: DELETE_LIMIT_MS })),
    );
    client.destroy();
  };
  return { made: made.length, refusal, remove };
}

async function closeAll(sockets) {
  for (const socket of sockets) socket.resetAndDestroy();
  await sleep(500);
}
