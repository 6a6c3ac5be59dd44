import { Buffer } from "node:buffer";
import { connect, createServer, Server } from "node:net";
import { pino } from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Clock, systemClock } from "../base/clock.ts";
import { CONNECTION_IDLE_MS, CONNECTION_IN_FLIGHT_MAX, CONNECTION_OUT_HIGH_BYTES } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import { Turn } from "../base/turn.ts";
import type { Call, Caller, HotCall, Reply, Row, Unsupported } from "../protocol/dispatch.ts";
import { encodeFrame } from "../protocol/frameWriter.ts";
import type { HeaderSchema } from "../protocol/headerSchema.ts";
import { FLAG_ONEWAY, FLAG_RESPONSE, SERIALIZE_JSON, SERIALIZE_ROCKETMQ } from "../protocol/headerView.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { RawClient } from "../testing/rawClient.ts";
import { RemotingClient } from "./client.ts";
import { RemotingServer } from "./server.ts";

const MIB = 1024 * 1024;
const ECHO = 1;
const FAIL = 2;
const LATER = 3;
const HOT_FAIL = 4;
const BIG = 5;
const GREET = 6;
const TYPED = 7;
const PULL = 8;
const COUNT = 9;
const HEAVY = 10;

interface Typed {
  n: number;
}
const TYPED_HEADER: HeaderSchema<Typed> = {
  name: "TypedHeader",
  enforced: true,
  fields: [{ name: "n", type: "int", required: true }],
};

interface Fixture {
  port: number;
  server: RemotingServer;
  /** Log lines of warn and above. */
  lines: { level: number; msg: string; reason?: string; peer?: string }[];
  calls: Call[];
  callers: Caller[];
  /** Lets the request LATER with this body be answered. */
  release: Map<string, (reply: Reply | undefined) => void>;
  rejectLater: Map<string, (error: Error) => void>;
  counted: number;
}

const running: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.close();
});

async function start(options: { clock?: Clock; fast?: boolean; unsupported?: Unsupported[] } = {}): Promise<Fixture> {
  const lines: Fixture["lines"] = [];
  const log: Logger = pino({ level: "warn" }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const clock = options.clock ?? systemClock;
  const fixture = {
    lines,
    calls: [],
    callers: [],
    release: new Map(),
    rejectLater: new Map(),
    counted: 0,
  } as unknown as Fixture;
  const any = (
    code: number,
    name: string,
    handle: (call: Call) => Reply | undefined | Promise<Reply | undefined>,
  ): Row => ({
    code,
    name,
    header: undefined,
    handle: (call: Call) => {
      fixture.calls.push({ ...call, body: Buffer.from(call.body), field: call.field });
      return handle(call);
    },
  });
  const big = Buffer.alloc(256 * 1024, 7);
  const rows: Row[] = [
    any(ECHO, "ECHO", (call) => ({ code: 0, remark: call.field("remark"), header: { a: "1" }, body: call.body })),
    any(FAIL, "FAIL", () => {
      throw new Error("something broke");
    }),
    any(
      LATER,
      "LATER",
      (call) =>
        new Promise((resolve, reject) => {
          fixture.release.set(call.body.toString(), resolve);
          fixture.rejectLater.set(call.body.toString(), reject);
        }),
    ),
    {
      code: HEAVY,
      name: "HEAVY",
      weight: CONNECTION_IN_FLIGHT_MAX / 2,
      header: undefined,
      handle: () => {
        fixture.counted++;
        return new Promise((resolve) => fixture.release.set(String(fixture.counted), resolve));
      },
    },
    {
      code: HOT_FAIL,
      name: "HOT_FAIL",
      hot: () => {
        throw new Error("hot and broken");
      },
    },
    {
      code: BIG,
      name: "BIG",
      hot: (call: HotCall) => {
        fixture.counted++;
        call.out.reply(call.view.opaque, call.view.serialization, { code: 0, body: big });
      },
    },
    any(GREET, "GREET", (call) => {
      fixture.callers.push(call.caller);
      return { code: 0 };
    }),
    {
      code: TYPED,
      name: "TYPED",
      header: TYPED_HEADER,
      handle: (call: Call<Typed>) => ({ code: 0, body: String(call.header.n) }),
    },
    {
      code: PULL,
      name: "PULL",
      lane: "notFast",
      hot: (call) => call.out.reply(call.view.opaque, call.view.serialization, { code: 0 }),
    },
    {
      code: COUNT,
      name: "COUNT",
      hot: (call) => {
        fixture.counted++;
        call.out.reply(call.view.opaque, call.view.serialization, { code: 0 });
      },
    },
  ];
  const server = new RemotingServer({
    clock,
    turn: new Turn(clock === systemClock ? clock : turnsOfTheRealLoop(clock)),
    log,
    rows,
    unsupported: options.unsupported ?? [],
    ...(options.fast === undefined ? {} : { fast: options.fast }),
  });
  fixture.server = server;
  fixture.port = await server.listen("127.0.0.1", 0);
  running.push(server);
  return fixture;
}

/** Time stands still until a test moves it, but turns end as they do. */
function turnsOfTheRealLoop(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, fn) => clock.after(delayMs, fn),
    every: (periodMs, fn) => clock.every(periodMs, fn),
    clear: (timer) => clock.clear(timer),
    endOfTurn: (fn) => systemClock.endOfTurn(fn),
  };
}

async function client(address: number | string): Promise<RawClient> {
  const one = await RawClient.connect(address);
  running.push(one);
  return one;
}

const soon = (ms = 30) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (condition()) return;
    await soon(5);
  }
  throw new Error(`never: ${what}`);
}

describe("a request", () => {
  it.each([
    ["JSON", SERIALIZE_JSON],
    ["ROCKETMQ", SERIALIZE_ROCKETMQ],
  ])("in %s is answered in the same, under its opaque", async (_, serialization) => {
    const { port } = await start();
    const one = await client(port);
    for (const opaque of [0, 1, -1, 2147483647, -2147483648]) {
      const reply = await one.ask(ECHO, { serialization, opaque, fields: { remark: "hör\n🚀" }, body: "body" });
      expect(reply).toMatchObject({ code: 0, flag: FLAG_RESPONSE, opaque, serialization, remark: "hör\n🚀" });
      expect(reply.fields).toEqual({ a: "1" });
      expect(reply.body.toString()).toBe("body");
    }
  });

  it("reaches its handler with all it says", async () => {
    const { port, calls } = await start();
    const one = await client(port);
    await one.ask(ECHO, { fields: { bname: "broker-a" }, body: "x" });
    const [call] = calls;
    expect(call).toMatchObject({ code: ECHO, version: 513, language: "JAVA", oneway: false });
    expect(call.field("bname")).toBe("broker-a");
    expect(call.field("none")).toBeUndefined();
    const { localPort } = one.socket;
    expect(call.caller.address).toBe(`127.0.0.1:${localPort}`);
    expect(call.caller.reachedBy).toBe("127.0.0.1");
    expect([...call.caller.host.subarray(0, 4)]).toEqual([127, 0, 0, 1]);
    expect(call.caller.host.readInt32BE(4)).toBe(localPort);
  });

  it("that is oneway gets no reply, whatever becomes of it", async () => {
    const { port, calls, release, lines } = await start({ unsupported: [{ code: 99, name: "X", reason: "no" }] });
    const one = await client(port);
    for (const code of [ECHO, FAIL, LATER, HOT_FAIL, 77, 99, TYPED]) one.send(code, { flag: FLAG_ONEWAY, body: "o" });
    expect((await one.ask(ECHO)).code).toBe(0);
    release.get("o")?.({ code: 0 });
    await soon();
    expect(one.received).toEqual([]);
    expect(calls.map((call) => [call.code, call.oneway])).toEqual([
      [ECHO, true],
      [FAIL, true],
      [LATER, true],
      [ECHO, false],
    ]);
    expect(lines.map((line) => line.msg)).toEqual(["request failed", "request failed"]);
  });

  it("of an unknown code is refused with code 3 in Apache's words", async () => {
    const one = await client((await start()).port);
    expect(await one.ask(7777)).toMatchObject({ code: 3, remark: " request type 7777 not supported" });
    const binary = await one.ask(-5, { serialization: SERIALIZE_ROCKETMQ });
    expect(binary).toMatchObject({
      code: 3,
      remark: " request type -5 not supported",
      serialization: SERIALIZE_ROCKETMQ,
    });
  });

  it("of a code that this server does not support is told why", async () => {
    const unsupported = [{ code: 200050, name: "POP_MESSAGE", reason: "POP is not part of this version" }];
    const one = await client((await start({ unsupported })).port);
    expect(await one.ask(200050)).toMatchObject({ code: 3, remark: "POP is not part of this version" });
  });

  it("whose row is not for the fast lane is unknown there", async () => {
    const slow = await client((await start()).port);
    const fast = await client((await start({ fast: true })).port);
    expect((await slow.ask(PULL)).code).toBe(0);
    expect(await fast.ask(PULL)).toMatchObject({ code: 3, remark: " request type 8 not supported" });
    expect((await fast.ask(ECHO)).code).toBe(0);
  });

  it("whose handler throws, at once or later, is answered code 1 with the message, and the connection lives", async () => {
    const { port, lines, rejectLater } = await start();
    const one = await client(port);
    expect(await one.ask(FAIL)).toMatchObject({ code: 1, remark: "FAIL: something broke" });
    expect(await one.ask(HOT_FAIL)).toMatchObject({ code: 1, remark: "HOT_FAIL: hot and broken" });
    const later = one.ask(LATER, { body: "l" });
    await until(() => rejectLater.has("l"), "the request arrived");
    rejectLater.get("l")?.(new Error("broke later"));
    expect(await later).toMatchObject({ code: 1, remark: "LATER: broke later" });
    expect((await one.ask(ECHO)).code).toBe(0);
    expect(lines.map((line) => line.msg)).toEqual(["request failed", "request failed", "request failed"]);
  });

  it("whose header has a bad field is answered code 1 naming the field, without a log line", async () => {
    const { port, lines } = await start();
    const one = await client(port);
    expect(await one.ask(TYPED, { fields: { n: "x" } })).toMatchObject({
      code: 1,
      remark: 'TYPED: field n: "x" is not an integer',
    });
    expect(await one.ask(TYPED)).toMatchObject({
      code: 1,
      remark: "TYPED: the custom field <n> of TypedHeader is missing",
    });
    expect((await one.ask(TYPED, { fields: { n: 5 } })).body.toString()).toBe("5");
    expect(lines).toEqual([]);
  });

  it("is answered as it completes, not as it came", async () => {
    const { port, release } = await start();
    const one = await client(port);
    const opaques = ["a", "b", "c"].map((body) => one.send(LATER, { body }));
    const quick = one.send(ECHO);
    await until(() => release.size === 3, "all arrived");
    for (const body of ["c", "a", "b"]) {
      release.get(body)?.({ code: 0 });
      await soon(5);
    }
    await until(() => one.received.length === 4, "all answered");
    expect(one.received.map((frame) => frame.opaque)).toEqual([quick, opaques[2], opaques[0], opaques[1]]);
  });

  it("is one of very many in a stream, each answered once and in order", async () => {
    const { port } = await start();
    const one = await client(port);
    const count = 20_000;
    const frames = Array.from({ length: count }, (_, opaque) =>
      encodeFrame({ code: COUNT, flag: 0, opaque, serialization: opaque & 1 }, undefined),
    );
    one.socket.write(Buffer.concat(frames));
    await until(() => one.received.length >= count, "all answered");
    expect(one.received.every((frame, i) => frame.opaque === i && frame.serialization === (i & 1))).toBe(true);
    expect(one.received).toHaveLength(count);
  });
});

describe("requests with very large answers", () => {
  it("are worked on a few at a time, all in the end", async () => {
    const fixture = await start();
    const one = await client(fixture.port);
    const answers = Array.from({ length: 20 }, () => one.ask(HEAVY));
    for (let done = 0; done < 20; done++) {
      await until(() => fixture.release.has(String(done + 1)), "it came");
      await soon(5);
      expect(fixture.counted - done).toBeLessThanOrEqual(2);
      fixture.release.get(String(done + 1))?.({ code: 0 });
    }
    expect((await Promise.all(answers)).every(({ code }) => code === 0)).toBe(true);
  });
});

describe("bad input", () => {
  const frame = (length: number, word: number, rest = "") => {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(length, 0);
    bytes.writeInt32BE(word, 4);
    return Buffer.concat([bytes, Buffer.from(rest)]);
  };

  it.each([
    ["a frame length of 0", frame(0, 0)],
    ["a negative frame length", frame(-1, 0)],
    ["a frame beyond 16 MiB", frame(16 * MIB + 1, 0)],
    ["a header longer than its frame", frame(10, 7, "{}....")],
    ["a header beyond its limit", Buffer.concat([frame(2 * MIB + 4, 2 * MIB), Buffer.alloc(2 * MIB, 0x20)])],
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["a header that names no opaque", frame(8, 4, "{bad")],
    ["an unknown serialization", frame(6, 0x05000002, "{}")],
  ])("%s closes that connection with one log line, and no other", async (_, bytes) => {
    const { port, lines } = await start();
    const healthy = await client(port);
    await healthy.ask(ECHO);
    const bad = await client(port);
    bad.socket.write(bytes);
    await bad.closed;
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 40, msg: "malformed frame, connection closed" });
    expect(lines[0].reason).toMatch(/./);
    expect(lines[0].peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect((await healthy.ask(ECHO, { body: "still here" })).body.toString()).toBe("still here");
  });

  it("answers the good frames that came before the bad one", async () => {
    const { port } = await start();
    const one = await client(port);
    await one.ask(ECHO);
    expect((await one.ask(ECHO, { body: "1" })).code).toBe(0);
    one.socket.write(frame(-1, 0));
    await one.closed;
  });

  it("in the header of a whole frame is answered code 1 under its own opaque, and the connection lives", async () => {
    const { port, lines } = await start();
    const one = await client(port);
    const header = '{"code":1,"extFields":{"a":{}},"opaque":55}';
    one.socket.write(frame(4 + header.length, header.length, header));
    const reply = await one.next();
    expect(reply).toMatchObject({ code: 1, opaque: 55, flag: FLAG_RESPONSE });
    expect(reply.remark).toMatch(/^malformed header: extFields value at byte \d+ is not a scalar$/);
    expect(lines).toHaveLength(1);
    expect((await one.ask(ECHO)).code).toBe(0);
  });

  it("that is an answer nobody waits for is dropped", async () => {
    const { port, calls } = await start();
    const one = await client(port);
    one.send(ECHO, { flag: FLAG_RESPONSE });
    expect((await one.ask(ECHO)).code).toBe(0);
    expect(calls).toHaveLength(1);
    expect(one.received).toEqual([]);
  });

  it("that stops in the middle holds nothing up", async () => {
    const { port, server } = await start();
    const half = await client(port);
    half.socket.write(frame(1000, 500, "{"));
    const one = await client(port);
    expect((await one.ask(ECHO)).code).toBe(0);
    half.close();
    await until(() => server.connections === 1, "the half one is forgotten");
  });
});

describe("a caller", () => {
  it("is told and asked over its own connection", async () => {
    const { port, callers } = await start();
    const one = await client(port);
    await one.ask(GREET);
    const [caller] = callers;
    expect(caller.tell(40, { consumerGroup: "g" })).toBe(true);
    const told = await one.next();
    expect(told).toMatchObject({ code: 40, flag: FLAG_ONEWAY, fields: { consumerGroup: "g" } });
    const answer = caller.ask(307, { clientId: "c" }, "body", 1000);
    const asked = await one.next();
    expect(asked).toMatchObject({ code: 307, flag: 0, fields: { clientId: "c" } });
    expect(asked.body.toString()).toBe("body");
    one.send(0, { flag: FLAG_RESPONSE, opaque: asked.opaque, fields: { x: "y" }, body: "answer" });
    const { code, fields, body } = await answer;
    expect([code, fields.get("x"), body.toString()]).toEqual([0, "y", "answer"]);
  });

  it("that does not answer in time is an error that says so; a late answer is dropped", async () => {
    const { port, callers } = await start();
    const one = await client(port);
    await one.ask(GREET);
    const late = `${callers[0].address}: no answer to request 307 within 20 ms`;
    // Expected from the start: on a busy machine the time is over before the question has arrived.
    const answer = expect(callers[0].ask(307, {}, undefined, 20)).rejects.toThrow(late);
    const asked = await one.next();
    await answer;
    one.send(0, { flag: FLAG_RESPONSE, opaque: asked.opaque });
    expect((await one.ask(ECHO)).code).toBe(0);
  });

  it("that has gone is an error, ends what was asked, and is told of once", async () => {
    const { port, callers } = await start();
    const one = await client(port);
    await one.ask(GREET);
    const [caller] = callers;
    let closed = 0;
    caller.onClose(() => closed++);
    const answer = caller.ask(307, {}, undefined, 10_000);
    one.close();
    await expect(answer).rejects.toThrow("the connection was closed");
    expect([closed, caller.open, caller.tell(40, {})]).toEqual([1, false, false]);
    caller.onClose(() => closed++);
    expect(closed).toBe(2);
    await expect(caller.ask(1, {}, undefined, 10)).rejects.toThrow("the connection is closed");
  });
});

describe("a peer that does not read", () => {
  it("is not read from, so that its answers stay bounded, and gets all of them when it reads again", async () => {
    const fixture = await start();
    const one = await client(fixture.port);
    await one.ask(ECHO);
    one.socket.pause();
    const before = process.memoryUsage().arrayBuffers;
    const count = 400;
    const frames = Array.from({ length: count }, (_, opaque) =>
      encodeFrame({ code: BIG, flag: 0, opaque, serialization: 0 }, undefined),
    );
    one.socket.write(Buffer.concat(frames));
    await until(() => fixture.counted > 0, "the first were taken");
    await soon(300);
    const taken = fixture.counted;
    // 400 answers of 256 KiB are 100 MiB; what the kernel took and the high mark are far less.
    expect(taken).toBeLessThan(count / 2);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(CONNECTION_OUT_HIGH_BYTES + 8 * MIB);
    const other = await client(fixture.port);
    expect((await other.ask(ECHO)).code).toBe(0);
    await soon(50);
    expect(fixture.counted).toBe(taken);
    one.socket.resume();
    await until(() => one.received.length === count, "all answers arrived");
    expect(one.received.map((reply) => reply.opaque)).toEqual(frames.map((_, i) => i));
    expect(one.received.every((reply) => reply.body.length === 256 * 1024 && reply.body[7] === 7)).toBe(true);
  });

  it("is told nothing more before it has read what it was told, and counts as idle", async () => {
    const clock = new FakeClock();
    const { port, callers, server } = await start({ clock });
    const one = await client(port);
    await one.ask(GREET);
    one.socket.pause();
    const [caller] = callers;
    const text = "x".repeat(20_000);
    let told = 0;
    const tell = async () => {
      for (let i = 0; i < 10; i++) if (caller.tell(77, { text })) told++;
      await new Promise((resolve) => setImmediate(resolve));
    };
    for (let turn = 0; turn < 200; turn++) await tell();
    // What the kernel takes is its own affair.
    expect(told * text.length).toBeLessThan(CONNECTION_OUT_HIGH_BYTES + 10 * MIB);
    await expect(caller.ask(77, {}, undefined, 1_000)).rejects.toThrow("does not read");
    for (let second = 0; second < CONNECTION_IDLE_MS / 1_000 + 10; second++) {
      await tell();
      await clock.advance(1_000);
    }
    await until(() => server.connections === 0, "it was closed as idle");
    expect(caller.tell(77, {})).toBe(false);
  });
});

describe("an idle connection", () => {
  it("is closed after 120 seconds, one that speaks is not", async () => {
    const clock = new FakeClock();
    const { port, server } = await start({ clock });
    const idle = await client(port);
    const busy = await client(port);
    await idle.ask(ECHO);
    for (let passed = 0; passed < CONNECTION_IDLE_MS; passed += 30_000) {
      await clock.advance(30_000);
      await busy.ask(ECHO);
      expect(server.connections).toBe(2);
    }
    await clock.advance(5_000);
    await idle.closed;
    expect((await busy.ask(ECHO)).code).toBe(0);
    expect(server.connections).toBe(1);
  });
});

describe("a server that closes", () => {
  it("lets the answers leave first, and frees its port", async () => {
    const { port, server, release } = await start();
    const one = await client(port);
    one.send(LATER, { body: "last" });
    await until(() => release.has("last"), "it arrived");
    const big = one.ask(BIG);
    release.get("last")?.({ code: 0, remark: "goodbye" });
    await soon(0);
    await server.close();
    expect((await big).body.length).toBe(256 * 1024);
    expect(one.received.map((frame) => frame.remark)).toEqual(["goodbye"]);
    await one.closed;
    await new Promise<void>((resolve, reject) => {
      const probe = connect(port, "127.0.0.1");
      probe.once("connect", () => reject(new Error("still listening")));
      probe.once("error", () => resolve());
    });
  });

  it("does not wait for ever for a peer that neither reads nor leaves", async () => {
    const fixture = await start();
    const one = await client(fixture.port);
    await one.ask(ECHO);
    one.socket.pause();
    for (let i = 0; i < 60; i++) one.send(BIG);
    await until(() => fixture.counted > 10, "answers wait");
    const began = performance.now();
    await fixture.server.close();
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(fixture.server.connections).toBe(0);
  });

  it("cannot listen on a taken port, and says which", async () => {
    const { port } = await start();
    const { server } = await start();
    await expect(server.listen("127.0.0.1", port)).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: `);
  });

  it("survives errors of its listening socket, such as too many open files", async () => {
    const listen = vi.spyOn(Server.prototype, "listen");
    const { port, lines } = await start();
    const listening = listen.mock.contexts[0] as Server;
    listen.mockRestore();
    for (let i = 0; i < 3; i++) listening.emit("error", new Error("accept EMFILE"));
    expect(lines.map(({ msg }) => msg)).toEqual(Array(3).fill("a connection could not be accepted"));
    expect((await (await client(port)).ask(ECHO)).code).toBe(0);
  });
});

describe("our own client", () => {
  function outgoing(): RemotingClient {
    const one = new RemotingClient(systemClock, new Turn(systemClock), pino({ level: "silent" }));
    running.push(one);
    return one;
  }

  it("asks and tells a server over one connection, and comes back when that was lost", async () => {
    const { port, server, calls } = await start();
    const us = outgoing();
    const address = `127.0.0.1:${port}`;
    const answers = await Promise.all(["a", "b"].map((body) => us.request(address, ECHO, { remark: "r" }, body, 1000)));
    expect(answers.map(({ code, remark, body }) => [code, remark, body.toString()])).toEqual([
      [0, "r", "a"],
      [0, "r", "b"],
    ]);
    expect(await us.tell(address, ECHO, {}, "told")).toBe(true);
    await until(() => calls.length === 3, "it was told");
    expect(calls[2].oneway).toBe(true);
    expect(server.connections).toBe(1);
    await server.close();
    await expect(us.request(address, ECHO, {}, undefined, 1000)).rejects.toThrow();
    const again = await start();
    expect((await us.request(`127.0.0.1:${again.port}`, ECHO, {}, undefined, 1000)).code).toBe(0);
  });

  it("says where it could not connect, and who does not answer", async () => {
    const us = outgoing();
    const { port, server } = await start();
    await server.close();
    await expect(us.request(`127.0.0.1:${port}`, ECHO, {}, undefined, 1000)).rejects.toThrow(
      `cannot connect to 127.0.0.1:${port}: `,
    );
    const deaf = createServer(() => {});
    await new Promise<void>((resolve) => deaf.listen(0, "127.0.0.1", resolve));
    const { port: deafPort } = deaf.address() as { port: number };
    await expect(us.request(`127.0.0.1:${deafPort}`, ECHO, {}, undefined, 20)).rejects.toThrow(
      "no answer to request 1 within 20 ms",
    );
    us.close();
    deaf.close();
  });

  it("answers a request of the server with code 3", async () => {
    const { port, callers } = await start();
    await outgoing().request(`127.0.0.1:${port}`, GREET, {}, undefined, 1000);
    const answer = await callers[0].ask(40, {}, undefined, 1000);
    expect([answer.code, answer.remark]).toEqual([3, " request type 40 not supported"]);
  });
});
