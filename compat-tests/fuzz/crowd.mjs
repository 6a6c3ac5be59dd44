// Crowds of connections that are not malformed but rude: clients that pull and never read, and a flood of connections.

import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createTopic, RawClient, sendHeader } from "../chaos/lib/client.mjs";
import { CODE, encodeRequest, properties } from "../chaos/lib/wire.mjs";

const BACKLOG_TOPIC = "FuzzBacklog";

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

async function closeAll(sockets) {
  for (const socket of sockets) socket.resetAndDestroy();
  await sleep(500);
}
