import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import { pino } from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../base/clock.ts";
import { seededRandom } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import { loadTls } from "../config/index.ts";
import type { Caller, HotCall, Row } from "../protocol/dispatch.ts";
import { encodeFrame } from "../protocol/frameWriter.ts";
import { SERIALIZE_JSON } from "../protocol/headerView.ts";
import { RawClient } from "../testing/rawClient.ts";
import { selfSigned } from "../tls/certificate.ts";
import { ClientTls } from "../tls/clientTls.ts";
import { MODE_REFUSALS, ServerTls } from "../tls/serverTls.ts";
import { RemotingClient } from "./client.ts";
import { RemotingServer } from "./server.ts";

const MIB = 1024 * 1024;
const ECHO = 1;
const GREET = 2;
const HOT = 3;

const running: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.close();
});

interface Fixture {
  port: number;
  server: RemotingServer;
  tls: ServerTls;
  lines: { level: number; msg: string; reason?: string; peer?: string; err?: string }[];
  callers: Caller[];
  files: Map<string, string>;
  load(): ReturnType<typeof loadTls>;
}

/** A NameServer's or broker's port with these tls.* keys; files are in memory. */
async function start(
  keys: Record<string, string>,
  given: Record<string, string> = {},
  handshakeMs?: number,
): Promise<Fixture> {
  const lines: Fixture["lines"] = [];
  const log = pino({ level: "info" }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const files = new Map(Object.entries(given));
  const load = () =>
    loadTls({ entries: new Map(Object.entries(keys)), properties: new Map(), read, exists: (file) => files.has(file) });
  const read = (file: string) => {
    const text = files.get(file);
    if (text === undefined) throw new Error(`ENOENT: no such file ${file}`);
    return text;
  };
  const tls = new ServerTls({
    clock: systemClock,
    random: seededRandom(1),
    log,
    load: () => load().settings,
    read,
    stamp: (file) => files.get(file),
    ...(handshakeMs === undefined ? {} : { handshakeMs }),
  });
  await tls.start();
  const callers: Caller[] = [];
  const rows: Row[] = [
    { code: ECHO, name: "ECHO", header: undefined, handle: ({ body }) => ({ code: 0, body: Buffer.from(body) }) },
    {
      code: GREET,
      name: "GREET",
      header: undefined,
      handle: ({ caller }) => {
        callers.push(caller);
        return { code: 0 };
      },
    },
    {
      code: HOT,
      name: "HOT",
      hot: ({ out, view, buf, bodyStart, bodyEnd }: HotCall) =>
        out.reply(view.opaque, view.serialization, { code: 0, body: Buffer.from(buf.subarray(bodyStart, bodyEnd)) }),
    },
  ];
  const server = new RemotingServer({
    clock: systemClock,
    turn: new Turn(systemClock),
    log,
    rows,
    unsupported: [],
    tls,
  });
  const port = await server.listen("127.0.0.1", 0);
  running.push(tls, server);
  return { port, server, tls, lines, callers, files, load };
}

/** A TLS client; rejects when the handshake fails or the server closes right after it. */
async function secure(port: number, options: ConnectionOptions = {}): Promise<RawClient> {
  const socket = tlsConnect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  running.push({ close: () => socket.destroy() });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
    socket.once("secureConnect", () => resolve());
  });
  return new RawClient(socket);
}

async function plain(port: number): Promise<RawClient> {
  const one = await RawClient.connect(port);
  running.push(one);
  return one;
}

function rawSocket(port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", () => {});
  running.push({ close: () => socket.destroy() });
  return socket;
}

/** What an answer over a connection is, or that there is none. */
async function outcome(opening: Promise<RawClient>): Promise<string> {
  try {
    const one = await opening;
    const answer = one.ask(ECHO, { body: "hello" }).then(({ body }) => body.toString());
    return await Promise.race([answer, one.closed.then(() => "closed")]);
  } catch {
    return "refused";
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`never: ${what}`);
}

const now = Date.now();
const pair = (seed: number, at = now) => selfSigned(at, seededRandom(seed));
const SERVER_KEYS = {
  "tls.test.mode.enable": "false",
  "tls.server.certPath": "cert",
  "tls.server.keyPath": "key",
};

describe("the first byte of a connection", () => {
  it("tells TLS from plain on a permissive port, which is the default", async () => {
    const { port, callers } = await start({});
    expect(await outcome(plain(port))).toBe("hello");
    expect(await outcome(secure(port))).toBe("hello");
    const one = await secure(port);
    await one.ask(GREET);
    const socket = one.socket as TLSSocket;
    expect(socket.getProtocol()).toBe("TLSv1.3");
    expect(callers[0].address).toBe(`127.0.0.1:${socket.localPort}`);
    expect(callers[0].reachedBy).toBe("127.0.0.1");
  });

  it("counts however the bytes are cut", async () => {
    const { port } = await start({});
    const frame = encodeFrame({ code: ECHO, flag: 0, opaque: 7, serialization: SERIALIZE_JSON, fields: {} }, "cut");
    const slow = await plain(port);
    for (const byte of frame) {
      slow.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await slow.next()).body.toString()).toBe("cut");

    // A TLS client whose bytes pass through a pipe that hands them on one by one at first.
    const { createServer } = await import("node:net");
    const pipe = createServer((inner) => {
      const outer = rawSocket(port);
      outer.on("data", (chunk) => inner.write(chunk));
      inner.on("error", () => {});
      inner.on("data", async (chunk) => {
        inner.pause();
        for (const byte of chunk.subarray(0, 16)) {
          outer.write(Buffer.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
        outer.write(chunk.subarray(16));
        inner.resume();
      });
    });
    await new Promise<void>((resolve) => pipe.listen(0, "127.0.0.1", resolve));
    running.push(pipe);
    expect(await outcome(secure((pipe.address() as { port: number }).port))).toBe("hello");
  });

  it("closes a plain client on an enforcing port, in Apache's words", async () => {
    const { port, lines, server } = await start({ "tls.server.mode": "enforcing" });
    expect(await outcome(plain(port))).toBe("closed");
    expect(lines).toMatchObject([{ level: 40, msg: MODE_REFUSALS.enforcing }]);
    expect(lines[0].peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(await outcome(secure(port))).toBe("hello");
    await until(() => server.connections <= 1, "the refused one is forgotten");
  });

  it("closes a TLS client on a disabled port, in Apache's words", async () => {
    const { port, lines } = await start({ "tls.server.mode": "disabled" });
    expect(await outcome(secure(port))).toBe("refused");
    expect(lines).toMatchObject([{ level: 40, msg: MODE_REFUSALS.disabled }]);
    expect(await outcome(plain(port))).toBe("hello");
  });

  it("is waited for: a silent connection counts, and is gone at the stop", async () => {
    const { port, server } = await start({});
    const silent = rawSocket(port);
    await until(() => server.connections === 1, "it counts");
    const closed = new Promise((resolve) => silent.once("close", resolve));
    await server.close();
    await closed;
    await until(() => server.connections === 0, "it is forgotten");
  });
});

describe("a TLS connection", () => {
  it("carries any size of bodies both ways, in order, and many at a time", async () => {
    const { port } = await start({});
    const clients = await Promise.all(Array.from({ length: 3 }, () => secure(port)));
    await Promise.all(
      clients.map(async (one, c) => {
        for (const bytes of [0, 1, 16_383, 16_384, 65_537, MIB, 8 * MIB]) {
          const body = Buffer.alloc(bytes, bytes + c);
          for (const code of [ECHO, HOT]) expect((await one.ask(code, { body })).body.equals(body)).toBe(true);
        }
        const bodies = Array.from({ length: 400 }, (_, i) => Buffer.alloc(1 + ((i * 977) % 9_000), i + c));
        const answers = await Promise.all(bodies.map((body) => one.ask(HOT, { body })));
        for (const [i, { body }] of answers.entries()) expect(body.equals(bodies[i])).toBe(true);
      }),
    );
  });

  it("holds answers back from a client that does not read, and goes on when it does", async () => {
    const { port } = await start({});
    const one = await secure(port);
    const body = Buffer.alloc(512 * 1024, 5);
    one.socket.pause();
    const answers = Array.from({ length: 40 }, () => one.ask(HOT, { body }));
    await new Promise((resolve) => setTimeout(resolve, 100));
    one.socket.resume();
    for (const answer of answers) expect((await answer).body.equals(body)).toBe(true);
  });

  it("gives each turn's buffer back when its bytes are on their way, whether or not more follow", async () => {
    const { port } = await start({});
    const one = await secure(port);
    await one.ask(HOT, { body: "warm" });
    const made = vi.spyOn(Buffer, "allocUnsafeSlow");
    for (let i = 0; i < 200; i++) expect((await one.ask(HOT, { body: `${i}` })).body.toString()).toBe(`${i}`);
    expect(made.mock.calls.filter(([bytes]) => bytes >= 64 * 1024).length).toBeLessThan(5);
    made.mockRestore();
  });

  it("is closed when its handshake takes too long or is nonsense, and costs nobody else anything", async () => {
    const { port, tls, lines, server } = await start({}, {}, 200);
    const healthy = await secure(port);
    const half = rawSocket(port);
    half.write(Buffer.of(0x16, 0x03, 0x01));
    const halfClosed = new Promise((resolve) => half.once("close", resolve));
    const broken = rawSocket(port);
    broken.write(Buffer.from("160301020001ffffffffffffffffffffffffffffffff", "hex").subarray(0, 11));
    broken.write(Buffer.alloc(600, 0xff));
    const brokenClosed = new Promise((resolve) => broken.once("close", resolve));
    await until(() => tls.handshakes <= 2, "handshakes under way are counted");
    half.resume();
    broken.resume();
    await Promise.all([halfClosed, brokenClosed]);
    await until(() => tls.handshakes === 0 && server.connections === 1, "they are forgotten");
    expect(lines.filter(({ msg }) => msg === "TLS handshake failed")).toHaveLength(2);
    expect((await healthy.ask(ECHO, { body: "well" })).body.toString()).toBe("well");
  });

  it("speaks no version before 1.2", async () => {
    const { port } = await start({});
    const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    expect(await outcome(secure(port, old))).toBe("refused");
    expect(await outcome(secure(port, { maxVersion: "TLSv1.2" }))).toBe("hello");
  });

  it("obeys tls.protocols and tls.ciphers", async () => {
    const { port } = await start({
      "tls.protocols": "TLSv1.2",
      "tls.ciphers": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    });
    const one = await secure(port);
    const { name, version } = (one.socket as TLSSocket).getCipher();
    expect(`${version} ${name}`).toBe("TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384");
    expect(await outcome(secure(port, { minVersion: "TLSv1.3" }))).toBe("refused");
  });
});

describe("certificates", () => {
  it("that cannot be used are refused at the start, with the option and the file", async () => {
    const one = pair(1);
    await expect(start(SERVER_KEYS)).rejects.toThrow("tls.server.certPath=cert cannot be read: ENOENT");
    await expect(start(SERVER_KEYS, { cert: one.cert, key: pair(2).key })).rejects.toThrow(
      /^tls\.server\.certPath=cert with tls\.server\.keyPath=key cannot be used: .*mismatch/,
    );
    await expect(start({ "tls.ciphers": "NONE_SUCH" })).rejects.toThrow("there is no cipher suite NONE_SUCH");
  });

  it("of clients are asked for and verified as need.client.auth and authClient say", async () => {
    const [server, known, stranger, expired] = [pair(1), pair(2), pair(3), pair(4, now - 20 * 365 * 86_400_000)];
    const files = { cert: server.cert, key: server.key, trust: known.cert + expired.cert };
    const verified = { ...SERVER_KEYS, "tls.server.authClient": "true", "tls.server.trustCertPath": "trust" };
    const table: [Record<string, string>, string, string[]][] = [
      // none, known, stranger, expired
      [SERVER_KEYS, "none", ["hello", "hello", "hello", "hello"]],
      [SERVER_KEYS, "optional", ["hello", "hello", "hello", "hello"]],
      [SERVER_KEYS, "require", ["no", "hello", "hello", "hello"]],
      [verified, "none", ["hello", "hello", "hello", "hello"]],
      [verified, "optional", ["hello", "hello", "no", "no"]],
      [verified, "require", ["no", "hello", "no", "no"]],
    ];
    for (const [keys, auth, expected] of table) {
      const { port } = await start({ ...keys, "tls.server.need.client.auth": auth }, files);
      const seen = [];
      for (const mine of [undefined, known, stranger, expired]) {
        const answer = await outcome(secure(port, mine === undefined ? {} : { cert: mine.cert, key: mine.key }));
        seen.push(answer === "hello" ? answer : "no");
      }
      expect([auth, seen]).toEqual([auth, expected]);
    }
  });

  it("refused are named in the log with the reason", async () => {
    const [server, stranger] = [pair(1), pair(3)];
    const keys = { ...SERVER_KEYS, "tls.server.authClient": "true", "tls.server.need.client.auth": "optional" };
    const { port, lines } = await start(keys, { cert: server.cert, key: server.key });
    await outcome(secure(port, { cert: stranger.cert, key: stranger.key }));
    await until(() => lines.length > 0, "a line");
    expect(lines[0]).toMatchObject({ level: 40, msg: "TLS client refused" });
    expect(lines[0].reason).toMatch(/^its certificate is not trusted: /);
  });

  it("are renewed without a restart and without a lost answer; a broken one changes nothing", async () => {
    const [first, second] = [pair(1), pair(2)];
    const { port, files, lines } = await start(SERVER_KEYS, { cert: first.cert, key: first.key });
    const fingerprint = async () => {
      const one = await secure(port);
      const { raw } = (one.socket as TLSSocket).getPeerCertificate();
      one.close();
      return Buffer.from(raw).toString("base64");
    };
    const der = (pem: string) => pem.replace(/-----[^-]+-----|\n/g, "");
    expect(await fingerprint()).toBe(der(first.cert));

    let stop = false;
    let [answers, reconnects] = [0, 0];
    const steady = await secure(port);
    const load = (async () => {
      while (!stop) {
        const fresh = await secure(port);
        reconnects++;
        for (const one of [steady, fresh]) {
          expect((await one.ask(ECHO, { body: `${answers}` })).body.toString()).toBe(`${answers}`);
          answers++;
        }
        fresh.close();
      }
    })();
    files.set("cert", second.cert);
    await until(() => lines.some(({ level }) => level === 50), "half a renewal is refused");
    expect(lines.find(({ level }) => level === 50)?.err).toMatch(/mismatch/);
    expect(await fingerprint()).toBe(der(first.cert));
    files.set("key", second.key);
    await until(() => lines.some(({ msg }) => msg.startsWith("certificates changed: new")), "the renewal");
    expect(await fingerprint()).toBe(der(second.cert));
    stop = true;
    await load;
    expect(answers).toBeGreaterThan(10);
    expect(reconnects).toBeGreaterThan(5);
    expect((await steady.ask(ECHO, { body: "still" })).body.toString()).toBe("still");
  });
});

describe("a connection to another server", () => {
  function dialer(keys: Record<string, string>, files: Record<string, string> = {}): RemotingClient {
    const read = (file: string) => {
      if (files[file] === undefined) throw new Error("ENOENT");
      return files[file];
    };
    const entries = new Map(Object.entries({ "tls.server.mode": "disabled", ...keys }));
    const { settings } = loadTls({ entries, properties: new Map(), read, exists: () => false });
    const log = pino({ level: "silent" });
    const client = new RemotingClient(systemClock, new Turn(systemClock), log, [], new ClientTls(settings, read));
    running.push(client);
    return client;
  }

  const ask = async (client: RemotingClient, port: number) => {
    try {
      const { body } = await client.request(`127.0.0.1:${port}`, ECHO, {}, "by TLS", 5_000);
      return body.toString();
    } catch (error) {
      return (error as Error).message;
    }
  };

  it("is encrypted, verified only when asked to be, and shows a certificate when it has one", async () => {
    const [server, mine, stranger] = [pair(1), pair(2), pair(3)];
    const { port } = await start(
      { ...SERVER_KEYS, "tls.server.mode": "enforcing" },
      { cert: server.cert, key: server.key },
    );
    expect(await ask(dialer({}), port)).toBe("by TLS");
    expect(await ask(dialer({ "tls.test.mode.enable": "false" }), port)).toBe("by TLS");
    const trusting = {
      "tls.test.mode.enable": "false",
      "tls.client.authServer": "true",
      "tls.client.trustCertPath": "ca",
    };
    expect(await ask(dialer(trusting, { ca: server.cert }), port)).toBe("by TLS");
    expect(await ask(dialer(trusting, { ca: stranger.cert }), port)).toMatch(
      /^cannot connect to 127.0.0.1:\d+: .*self.signed/,
    );

    const strict = await start(
      {
        ...SERVER_KEYS,
        "tls.server.need.client.auth": "require",
        "tls.server.authClient": "true",
        "tls.server.trustCertPath": "ca",
      },
      { cert: server.cert, key: server.key, ca: mine.cert },
    );
    const showing = {
      "tls.test.mode.enable": "false",
      "tls.client.certPath": "c",
      "tls.client.keyPath": "k",
    };
    expect(await ask(dialer(showing, { c: mine.cert, k: mine.key }), strict.port)).toBe("by TLS");
    expect(await ask(dialer({ "tls.test.mode.enable": "false" }), strict.port)).not.toBe("by TLS");
    expect(() => dialer(showing, { c: mine.cert })).toThrow("tls.client.keyPath=k cannot be read: ENOENT");
  });

  it("to a port that does not speak TLS fails with the address", async () => {
    const { port } = await start({ "tls.server.mode": "disabled" });
    expect(await ask(dialer({}), port)).toMatch(new RegExp(`^cannot connect to 127.0.0.1:${port}: `));
  });
});
