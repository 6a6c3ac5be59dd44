// TLS of the remoting ports, the same questions and clients to Apache and to Skylark, both told by the same -Dtls.* flags.
//
//   node compat-tests/tls/run.mjs [--server apache|skylark] [--part probes|client|renewal] [--keep]
//
// First, what a NameServer does with plain and TLS connections of every kind, mode by mode: answered or closed. Then the official Java client
// with -Dtls.enable=true against NameServer and broker that take TLS only, each side verifying the other, and the same client without
// TLS, without its certificate, and with a certificate that nobody knows. With --part renewal, certificates are renewed while messages are sent, by
// connections that stay and by ever new ones: none may fail, and new ones must see the new certificate. Prints a line each and "N passed, N failed".

import { X509Certificate } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { parseArgs } from "node:util";
import { seededRandom } from "../../dist/base/random.js";
import { selfSigned } from "../../dist/tls/certificate.js";
import { createTopic, RawClient, sendHeader } from "../chaos/lib/client.mjs";
import { CODE, properties as propertiesOf } from "../chaos/lib/wire.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, javaClient, Missing, WORK } from "../lib/build.mjs";
import { Ports } from "../lib/ports.mjs";
import { runClient } from "../lib/session.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";

const SCENARIOS = ["send-sync", "send-async", "large-body", "push-cluster", "tags", "request-reply"];
const GET_BROKER_CLUSTER_INFO = 106;
const PROBE_LIMIT_MS = 60_000;

const { values: options } = parseArgs({
  options: {
    server: { type: "string", multiple: true, default: ["apache", "skylark"] },
    part: { type: "string", multiple: true, default: ["probes", "client"] },
    keep: { type: "boolean", default: false },
  },
});

let lib;
let client;
try {
  lib = apacheLib();
  client = javaClient("5.5.0");
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED tls: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}

const tempDir = mkdtempSync(join(tmpdir(), "skylark-tls-"));
const logDir = join(WORK, "logs", "tls");
rmSync(logDir, { recursive: true, force: true });
mkdirSync(logDir, { recursive: true });
const ports = new Ports(Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 700);
let passed = 0;
let failed = 0;

/** Certificate and key of each party, PEM files. Each is its own authority. */
const TWENTY_YEARS_MS = 20 * 365 * 86_400_000;
const parties = Object.fromEntries(
  ["server", "client", "stranger", "expired"].map((name, i) => {
    const madeAt = Date.now() - (name === "expired" ? TWENTY_YEARS_MS : 0);
    const { cert, key } = selfSigned(madeAt, seededRandom(i + 1));
    const files = { cert: join(tempDir, `${name}.crt`), key: join(tempDir, `${name}.key`) };
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key);
    return [name, { cert, key, files }];
  }),
);

/** Whom servers trust that verify: one whose certificate is good, and one whose certificate was. */
const TRUSTED = join(tempDir, "trusted.crt");
writeFileSync(TRUSTED, parties.client.cert + parties.expired.cert);

const CERTIFICATE = {
  "tls.test.mode.enable": "false",
  "tls.server.certPath": parties.server.files.cert,
  "tls.server.keyPath": parties.server.files.key,
};
const VERIFYING = {
  ...CERTIFICATE,
  "tls.server.authClient": "true",
  "tls.server.trustCertPath": TRUSTED,
};

/** The ways to come, and what each mode says to them: a for answered, - for closed, in this order. */
const COMERS = [
  ["plain", undefined],
  ["TLS 1.1", { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }],
  ["TLS 1.2", { maxVersion: "TLSv1.2" }],
  ["TLS 1.3", { minVersion: "TLSv1.3" }],
  ["known certificate", parties.client],
  ["unknown certificate", parties.stranger],
  ["expired certificate", parties.expired],
  ["half a handshake", "half"],
];
const MODES = [
  ["no flags", {}],
  ["disabled", { "tls.server.mode": "disabled" }],
  ["enforcing", { "tls.server.mode": "enforcing" }],
  ["enforcing, TLS 1.2 only", { "tls.server.mode": "enforcing", "tls.protocols": "TLSv1.2" }],
  ["own certificate", CERTIFICATE],
  ["optional client certificate", { ...CERTIFICATE, "tls.server.need.client.auth": "optional" }],
  ["required client certificate", { ...CERTIFICATE, "tls.server.need.client.auth": "require" }],
  ["optional and verified", { ...VERIFYING, "tls.server.need.client.auth": "optional" }],
  ["required and verified", { ...VERIFYING, "tls.server.need.client.auth": "require" }],
];

/**
 * The letters of a mode as they are compared. Java does not look at the dates of a certificate that is itself what is trusted; Skylark refuses
 * an expired one in any case.
 */
function compared(kind, letters, properties) {
  const at = COMERS.findIndex(([name]) => name === "expired certificate");
  const isMeant = kind === "apache" && properties["tls.server.trustCertPath"] !== undefined && letters[at] === "a";
  return isMeant ? `${letters.slice(0, at)}-${letters.slice(at + 1)}` : letters;
}

function serverOf(kind, dir, properties, place) {
  const common = { dir, properties, ...place };
  return kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer({ ...common, layout: "split" });
}

function check(name, ok, detail = "") {
  if (ok) passed++;
  else failed++;
  console.log(`${ok ? "passed" : "FAILED"}  ${name}${detail === "" ? "" : `  ${detail}`}`);
}

function requestFrame() {
  const header = Buffer.from(
    JSON.stringify({ code: GET_BROKER_CLUSTER_INFO, flag: 0, language: "JAVA", opaque: 1, version: 0 }),
  );
  const frame = Buffer.alloc(8 + header.length);
  frame.writeInt32BE(4 + header.length, 0);
  frame.writeInt32BE(header.length, 4);
  header.copy(frame, 8);
  return frame;
}

/** Comes, asks, and tells whether there was an answer. */
function probe(port, tls) {
  return new Promise((resolve) => {
    const address = { host: "127.0.0.1", port };
    if (tls === "half") {
      halfHandshake(address).then(resolve);
      return;
    }
    const { cert, key, ...more } = tls ?? {};
    const socket =
      tls === undefined ? connect(address) : connectTls({ ...address, ...more, cert, key, rejectUnauthorized: false });
    const end = (answer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end("?"), PROBE_LIMIT_MS);
    socket.on("error", () => end("-"));
    socket.on("close", () => end("-"));
    socket.on("data", () => end("a"));
    socket.once(tls === undefined ? "connect" : "secureConnect", () => socket.write(requestFrame()));
  });
}

/** Begins a TLS handshake and ends the connection in the middle of it. */
function halfHandshake(address) {
  return new Promise((resolve) => {
    const socket = connect(address);
    const timer = setTimeout(() => end("?"), PROBE_LIMIT_MS);
    const end = (answer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.on("error", () => end("-"));
    socket.on("close", () => end("-"));
    // An alert is no answer.
    socket.on("data", () => {});
    // The beginning of a ClientHello whose record announces 500 bytes.
    socket.once("connect", () => socket.end(Buffer.from([22, 3, 1, 1, 244, 1, 0, 1, 240, 3, 3, 1, 2, 3])));
  });
}

/** What every comer gets in one mode, a letter each. */
async function answersOf(kind, name, properties) {
  const dir = join(tempDir, `${kind}-${name.replaceAll(/\W+/g, "-")}`);
  mkdirSync(dir, { recursive: true });
  const server = serverOf(kind, dir, properties, await ports.take());
  try {
    await server.startNamesrv();
    let letters = "";
    for (const [, tls] of COMERS) letters += await probe(server.namesrvPort, tls);
    return letters;
  } finally {
    await (kind === "apache" ? server.kill9() : server.stopGracefully());
    keep(dir);
  }
}

function keep(dir) {
  if (existsSync(dir))
    cpSync(dir, join(logDir, dir.slice(tempDir.length + 1)), {
      recursive: true,
      filter: (file) => !/store/.test(file),
    });
}

/** The official client with flags of its own. */
function clientWith(properties) {
  const flags = Object.entries(properties).map(([key, value]) => `-D${key}=${value}`);
  return { ...client, id: "java-5.5.0", args: (...words) => [...flags, ...client.args(...words)] };
}

async function scenarios(kind) {
  const dir = join(tempDir, `${kind}-client`);
  mkdirSync(dir, { recursive: true });
  const trusting = (own) => ({
    "tls.enable": "true",
    "tls.test.mode.enable": "false",
    "tls.client.authServer": "true",
    "tls.client.trustCertPath": parties.server.files.cert,
    ...(own === undefined ? {} : { "tls.client.certPath": own.files.cert, "tls.client.keyPath": own.files.key }),
  });
  const properties = {
    ...VERIFYING,
    ...trusting(parties.client),
    "tls.server.mode": "enforcing",
    "tls.server.need.client.auth": "require",
  };
  const server = serverOf(kind, dir, properties, await ports.take());
  const run = async (names, label, flags) => {
    const part = { names, server };
    const home = join(logDir, `${kind}-${label}`);
    const runId = `${Date.now().toString(36).slice(-5)}${kind[0]}`;
    return runClient({ client: clientWith(flags), parts: [part], parallel: 4, runId, home, logDir });
  };
  try {
    await server.start();
    for (const [name, [{ ok, detail }]] of await run(SCENARIOS, "client", trusting(parties.client))) {
      check(`${kind}: ${name} over TLS, both sides verified`, ok, ok ? "" : detail);
    }
    const strangers = [
      ["plain", {}],
      ["no certificate", trusting(undefined)],
      ["unknown certificate", trusting(parties.stranger)],
      ["unknown server", { ...trusting(parties.client), "tls.client.trustCertPath": parties.stranger.files.cert }],
    ];
    for (const [label, flags] of strangers) {
      const outcomes = await run(["send-sync"], label.replaceAll(" ", "-"), flags);
      const [{ ok, detail }] = outcomes.get("send-sync");
      check(`${kind}: a client that comes with ${label} sends nothing`, !ok, detail);
    }
  } finally {
    await (kind === "apache" ? server.kill9() : server.stopGracefully());
    keep(dir);
  }
}

const RENEWALS = 3;
/** Apache looks at files every half second, Skylark within a second. */
const RENEWAL_LIMIT_MS = 60_000;
const SENDERS = 4;
const SENDS_EACH = 25;

/** A raw client over TLS. */
function openTls(port) {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
    socket.once("error", reject);
    socket.once("secureConnect", () => resolve({ socket, client: new RawClient(socket) }));
  });
}

/** Sends on one connection after another, a few messages on each, until `done`. */
async function sendOn(port, topic, number, state) {
  for (let i = 0; !state.done; i++) {
    let held;
    try {
      held = await openTls(port);
      for (let k = 0; k < SENDS_EACH; k++) {
        const key = `R${number}-${i}-${k}`;
        const header = sendHeader({ group: "P", topic, queueId: 0, properties: propertiesOf({ UNIQ_KEY: key }) });
        const { code, remark } = await held.client.ask(CODE.SEND, header, Buffer.from("x"));
        if (code === 0) state.sent++;
        else state.failures.push(`${code} ${remark}`);
      }
    } catch (error) {
      state.failures.push(error.message);
      await sleep(100);
    } finally {
      held?.client.destroy();
    }
  }
}

/** The serial number of the certificate that a new connection is shown. */
async function shownSerial(port) {
  const { socket, client } = await openTls(port);
  const { serialNumber } = socket.getPeerX509Certificate();
  client.destroy();
  return serialNumber;
}

async function renewal(kind) {
  const dir = join(tempDir, `${kind}-renewal`);
  mkdirSync(dir, { recursive: true });
  const files = { cert: join(dir, "renewed.crt"), key: join(dir, "renewed.key") };
  const put = (certificate) => {
    // A whole file takes the place of a whole file, as tools that renew certificates do it.
    for (const what of ["key", "cert"]) {
      writeFileSync(`${files[what]}.new`, certificate[what]);
      renameSync(`${files[what]}.new`, files[what]);
    }
    return new X509Certificate(certificate.cert).serialNumber;
  };
  put(parties.server);
  const paths = { "tls.server.certPath": files.cert, "tls.server.keyPath": files.key };
  const server = serverOf(kind, dir, { ...CERTIFICATE, ...paths }, await ports.take());
  const state = { done: false, sent: 0, failures: [] };
  try {
    await server.start();
    const { client } = await openTls(server.brokerPort);
    await createTopic(client, "Renewed", 1);
    const senders = Array.from({ length: SENDERS }, (_, i) => sendOn(server.brokerPort, "Renewed", i, state));
    let seen = 0;
    for (let i = 0; i < RENEWALS; i++) {
      const serial = put(selfSigned(Date.now(), seededRandom(100 + i)));
      const until = performance.now() + RENEWAL_LIMIT_MS;
      while (performance.now() < until && (await shownSerial(server.brokerPort)) !== serial) await sleep(200);
      if ((await shownSerial(server.brokerPort)) === serial) seen++;
      const sent = state.sent;
      while (performance.now() < until && state.sent < sent + SENDERS * SENDS_EACH) await sleep(50);
    }
    // A connection of before all of them is still good.
    const old = await client.number(CODE.MAX_OFFSET, { topic: "Renewed", queueId: 0 });
    state.done = true;
    await Promise.all(senders);
    client.destroy();
    check(`${kind}: new connections see each of ${RENEWALS} new certificates`, seen === RENEWALS, `${seen}`);
    const failed = `${state.failures.length} failed${state.failures.length > 0 ? `, first: ${state.failures[0]}` : ""}`;
    check(`${kind}: no send fails meanwhile`, state.failures.length === 0 && old > 0, `${state.sent} sent, ${failed}`);
  } finally {
    state.done = true;
    await server.stopGracefully();
    keep(dir);
  }
}

const width = Math.max(...MODES.map(([name]) => name.length));
console.log(`a: answered, -: closed; in this order: ${COMERS.map(([name]) => name).join(", ")}`);
for (const [name, properties] of options.part.includes("probes") ? MODES : []) {
  const seen = [];
  for (const kind of options.server) seen.push(await answersOf(kind, name, properties));
  const shown = options.server.map((kind, i) => `${kind} ${seen[i]}`).join("  ");
  const same = seen.map((letters, i) => compared(options.server[i], letters, properties));
  check(name.padEnd(width), !seen[0].includes("?") && same.every((letters) => letters === same[0]), shown);
}
for (const kind of options.part.includes("client") ? options.server : []) await scenarios(kind);
for (const kind of options.part.includes("renewal") ? options.server : []) await renewal(kind);
if (options.keep) console.log(`files kept in ${tempDir}`);
else rmSync(tempDir, { recursive: true, force: true });
console.log(`tls: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
