/** The faulty proxy against a server that echoes: each fault does what it says, and nothing else. */
import { connect, createServer } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { FaultyProxy } from "./faultyProxy.mjs";

const TEXT = "0123456789abcdef";
const open = [];

afterEach(() => {
  for (const one of open.splice(0)) one();
});

/** An echo server behind a proxy; `heard` is what the server got. */
async function station() {
  const heard = [];
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    const one = { text: "", ended: undefined };
    heard.push(one);
    socket.on("data", (bytes) => {
      one.text += bytes;
      socket.write(bytes);
    });
    socket.on("end", () => {
      one.ended = "end";
    });
    socket.on("error", (error) => {
      one.ended = error.code;
    });
  });
  const port = await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
  const proxy = new FaultyProxy({ port });
  const proxyPort = await proxy.listen();
  open.push(() => {
    proxy.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { proxy, proxyPort, heard };
}

function dial(port) {
  const socket = connect(port, "127.0.0.1");
  const one = { socket, text: "", closed: false, error: undefined };
  socket.on("data", (bytes) => {
    one.text += bytes;
  });
  socket.on("error", (error) => {
    one.error = error.code;
  });
  socket.on("close", () => {
    one.closed = true;
  });
  open.push(() => socket.destroy());
  return one;
}

const until = (check) => vi.waitFor(check, { timeout: 60_000, interval: 5 });

describe("the faulty proxy", () => {
  it("hands everything on when it is told nothing, also what comes after one side's end", async () => {
    const { proxy, proxyPort } = await station();
    const client = dial(proxyPort);
    const long = TEXT.repeat(100_000);
    client.socket.end(long);
    await until(() => expect(client.closed).toBe(true));
    expect(client.text === long).toBe(true);
    expect(proxy.passed).toEqual({ up: long.length, down: long.length });
    expect(proxy.living).toBe(0);
  });

  it("cuts after exactly so many bytes, in either direction", async () => {
    const { proxy, proxyPort, heard } = await station();
    for (let bytes = 0; bytes <= TEXT.length; bytes++) {
      for (const direction of ["up", "down"]) {
        proxy.plan = () => ({ [direction]: { cutAfterBytes: bytes } });
        const client = dial(proxyPort);
        client.socket.write(`${TEXT}!`);
        await until(() => expect(client.closed).toBe(true));
        if (direction === "down") expect(client.text).toBe(TEXT.slice(0, bytes));
        else if (bytes > 0) await until(() => expect(heard.at(-1).text).toBe(TEXT.slice(0, bytes)));
      }
    }
  });

  it("resets", async () => {
    const { proxy, proxyPort, heard } = await station();
    proxy.plan = () => ({ up: { resetAfterBytes: 3 } });
    const client = dial(proxyPort);
    client.socket.write(TEXT);
    await until(() => expect(client.closed).toBe(true));
    expect(client.error).toBe("ECONNRESET");
    await until(() => expect(heard[0]?.ended ?? "ECONNRESET").toBe("ECONNRESET"));
    expect(proxy.passed.up).toBe(3);
  });

  it("stalls one direction while the other flows, and loses nothing", async () => {
    const { proxy, proxyPort, heard } = await station();
    const client = dial(proxyPort);
    client.socket.write("a");
    await until(() => expect(client.text).toBe("a"));
    proxy.stall("down");
    client.socket.write("b");
    await until(() => expect(heard[0].text).toBe("ab"));
    expect(client.text).toBe("a");
    proxy.heal();
    await until(() => expect(client.text).toBe("ab"));
    proxy.stall("up");
    const second = dial(proxyPort);
    second.socket.write("c");
    client.socket.write("d");
    await until(() => expect(proxy.living).toBe(2));
    expect(heard.map(({ text }) => text).join()).not.toMatch(/[cd]/);
    proxy.heal();
    await until(() => expect([client.text, second.text]).toEqual(["abd", "c"]));
  });

  it("delays, and keeps the order", async () => {
    const { proxy, proxyPort } = await station();
    proxy.plan = () => ({ up: { delayMs: 30 }, down: { delayMs: 20 } });
    const client = dial(proxyPort);
    const began = performance.now();
    for (const letter of TEXT) client.socket.write(letter);
    await until(() => expect(client.text).toBe(TEXT));
    expect(performance.now() - began).toBeGreaterThan(45);
  });

  it("refuses, and cuts all that there are", async () => {
    const { proxy, proxyPort } = await station();
    const first = dial(proxyPort);
    first.socket.write("a");
    await until(() => expect(first.text).toBe("a"));
    proxy.refuse();
    const second = dial(proxyPort);
    await until(() => expect(second.closed).toBe(true));
    expect(first.closed).toBe(false);
    proxy.cutAll();
    await until(() => expect(first.closed).toBe(true));
    proxy.heal();
    const third = dial(proxyPort);
    third.socket.write("c");
    await until(() => expect(third.text).toBe("c"));
  });
});
