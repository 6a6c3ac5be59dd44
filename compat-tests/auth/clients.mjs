// Official clients with credentials, plain and over TLS, against both servers with access control: each must work with the right password, and do
// nothing with a wrong one (mqadmin: without its tools.yml).
//
//   node compat-tests/auth/clients.mjs [--write-readme]
//
// Apache is broker and proxy in one process, Skylark its one process; both take TLS and plain connections on the same ports, as is the
// default of both, each with a certificate of its own making.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { RequestCode } from "../../dist/protocol/generated/requestCodes.js";
import { RawClient } from "../chaos/lib/client.mjs";
import { runClient } from "../grpc/lib/clientRun.mjs";
import { CLIENTS } from "../grpc/lib/clients.mjs";
import { createResources } from "../grpc/lib/resources.mjs";
import { makeServer } from "../grpc/lib/servers.mjs";
import { Missing, WORK } from "../lib/build.mjs";
import { freePorts } from "../lib/ports.mjs";
import { compileComers, goComers, runComers } from "./comers.mjs";
import { jarsOrSkip, makeUsers, ROOT, SETTINGS, signed, Tally, user } from "./lib.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 800;
const README = new URL("README.md", import.meta.url);
const LIMIT_MS = 240_000;
const TRIES = 5;
const WRONG = { accessKey: "app", secretKey: "wrong" };
const SCENARIOS = ["send", "push"];
const RECEIVED = "[five, four, one, three, two ä€😀]";
const RIGHTS = {
  app: ["Topic:*", "Group:*"].map((resource) => ({ resource, actions: ["Pub", "Sub"], decision: "Allow" })),
};
/** The Go client's admin does not sign when it makes topics. */
const GO_SETTINGS = { authenticationWhitelist: "17", authorizationWhitelist: "17" };
const PROXY_SETTINGS = {
  authenticationEnabled: true,
  authorizationEnabled: true,
  authenticationMetadataProvider: "org.apache.rocketmq.proxy.auth.ProxyAuthenticationMetadataProvider",
  authorizationMetadataProvider: "org.apache.rocketmq.proxy.auth.ProxyAuthorizationMetadataProvider",
};

const lib = jarsOrSkip("auth clients");
const tally = new Tally();
const tempDir = mkdtempSync(join(tmpdir(), "skylark-auth-clients-"));
const logDir = join(WORK, "logs", "auth-clients");
mkdirSync(logDir, { recursive: true });
compileComers(lib, tempDir);
const tlsFlags = (tls) => [`-Dtls.enable=${tls}`];

/** Each client: whether all of it was as wanted, or why not. */
const ROWS = {
  "Java 5.5.0 (AclClientRPCHook)": async ({ server, home, tls }) => {
    const comers = [user("app"), WRONG];
    const steps = await runComers(server.namesrvAddr, { lib, classes: tempDir, home, comers, flags: tlsFlags(tls) });
    const strange = [...steps].filter(([step, outcome]) => {
      const isWrong = step.includes("app/wrong");
      if (step.endsWith("receives")) return outcome !== (isWrong ? "[]" : RECEIVED);
      return isWrong ? !outcome.startsWith("CODE 16 ") : outcome !== "SEND_OK";
    });
    if (steps.size !== 10) return `${steps.size} steps of 10`;
    return strange.map(([step, outcome]) => `${step}: ${outcome}`).join("; ");
  },
  "mqadmin 5.5.0 (tools.yml)": async ({ server, home, tls }) => {
    const ask = async (tools) => {
      mkdirSync(join(home, "conf"), { recursive: true });
      writeFileSync(join(home, "conf", "tools.yml"), tools);
      const flags = [...tlsFlags(tls), "-Xmx128m", `-Duser.home=${home}`, `-Drocketmq.home.dir=${home}`];
      const args = [...flags, "-cp", join(lib, "*"), "org.apache.rocketmq.tools.command.MQAdminStartup"];
      const command = ["getUser", "-b", `127.0.0.1:${server.brokerPort}`, "-u", "app", "-n", server.namesrvAddr];
      const env = { ...process.env, ROCKETMQ_HOME: home };
      for (let tries = 1; ; tries++) {
        const { stdout, stderr } = await promisify(execFile)("java", [...args, ...command], { env, timeout: LIMIT_MS });
        // On a busy machine its patience of three seconds is short.
        if (tries === TRIES || !/RemotingTimeoutException/.test(stderr)) return stdout + stderr;
      }
    };
    const told = await ask(`accessKey: ${ROOT.accessKey}\nsecretKey: ${ROOT.secretKey}\n`);
    const refused = await ask("");
    if (!/app\s.*Normal/.test(told)) return `with tools.yml: ${told}`;
    return /CODE: 16 /.test(refused) ? "" : `without tools.yml: ${refused}`;
  },
  "Go 2.1.2": async ({ server, tls }) => {
    if (tls) return undefined;
    const outcomes = await goComers(server, ["send-sync", "push-cluster"]);
    return [...outcomes]
      .filter(([, outcome]) => outcome !== "as wanted")
      .map((pair) => pair.join(": "))
      .join("; ");
  },
  "Java 5.2.0": (place) => modern("java-5.2.0", place),
  "Go 5.1.3": (place) => modern("go-5.1.3", place),
};

/** A client of the 5.x protocol. */
async function modern(id, { server, tls }) {
  const client = CLIENTS.find((one) => one.id === id);
  const variant = { ...(await client.prepare()), id: `${id}${tls ? "-tls" : ""}`, tls };
  const wrong = [];
  for (const { secretKey } of [user("app"), WRONG]) {
    const isRight = secretKey !== WRONG.secretKey;
    const names = isRight ? SCENARIOS : SCENARIOS.slice(0, 1);
    const run = `${id.slice(0, 2)}${tls ? "t" : "p"}${secretKey.length}`;
    await createResources(server.brokerPort, run, names, (ext, body) => signed(ext, body, ROOT));
    const env = { ...variant.env, ROCKETMQ_ACCESS_KEY: "app", ROCKETMQ_SECRET_KEY: secretKey };
    const results = await runClient({ ...variant, env }, server, names, run, { logDir, parallel: 2 });
    for (const [name, { ok, detail }] of results)
      if (ok !== isRight) wrong.push(`${name} with ${secretKey}: ${detail}`);
  }
  return wrong.join("; ");
}

async function outcomesOf(kind, basePort) {
  const dir = join(tempDir, kind);
  mkdirSync(dir, { recursive: true });
  const place = await freePorts(basePort);
  const settings = { ...SETTINGS, ...GO_SETTINGS };
  const server = makeServer(kind, { dir, ...place, lib, settings, proxySettings: PROXY_SETTINGS });
  server.namesrvAddr = `127.0.0.1:${place.namesrvPort}`;
  server.brokerAddr = `127.0.0.1:${place.brokerPort}`;
  await server.start();
  const outcomes = new Map();
  try {
    const root = await RawClient.open({ port: place.brokerPort });
    await makeUsers(root, RIGHTS);
    const topic = { topic: "Orders", defaultTopic: "TBW102", perm: 6, topicFilterType: "SINGLE_TAG", order: false };
    const fields = { ...topic, readQueueNums: 4, writeQueueNums: 4 };
    const { code, remark } = await root.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, signed(fields, undefined, ROOT));
    if (code !== 0) throw new Error(`Orders: ${code} ${remark}`);
    root.destroy();
    for (const tls of [false, true]) {
      for (const [name, row] of Object.entries(ROWS)) {
        const home = join(dir, `${name.replaceAll(/\W+/g, "-")}-${tls}`);
        mkdirSync(home, { recursive: true });
        const outcome = await row({ server, home, tls }).catch((error) => {
          if (error instanceof Missing && process.env.CI !== "true") return undefined;
          return error.message;
        });
        outcomes.set(`${name} | ${tls}`, outcome);
        if (outcome !== undefined) {
          tally.check(`${kind}: ${name}${tls ? " over TLS" : ""}`, outcome === "", outcome);
        }
      }
    }
  } finally {
    await server.stop();
  }
  return outcomes;
}

const [apache, skylark] = await Promise.all([
  outcomesOf("apache-local", BASE_PORT),
  outcomesOf("skylark", BASE_PORT + 100),
]);
const cell = (outcomes, name, tls) => {
  const outcome = outcomes.get(`${name} | ${tls}`);
  return outcome === undefined ? "-" : outcome === "" ? "works" : "**fails**";
};
const table = [
  "| client | Apache, plain | Skylark, plain | Apache, TLS | Skylark, TLS |",
  "| --- | --- | --- | --- | --- |",
  ...Object.keys(ROWS).map(
    (name) =>
      `| ${[name, ...[false, true].flatMap((tls) => [apache, skylark].map((of) => cell(of, name, tls)))].join(" | ")} |`,
  ),
].join("\n");
console.log(`\n${table}\n`);
if (process.argv.includes("--write-readme")) {
  const text = readFileSync(README, "utf8");
  const [before, after] = [text.split("<!-- clients -->")[0], text.split("<!-- /clients -->")[1]];
  writeFileSync(README, `${before}<!-- clients -->\n\n${table}\n\n<!-- /clients -->${after}`);
}
rmSync(tempDir, { recursive: true, force: true });
tally.end("auth clients");
