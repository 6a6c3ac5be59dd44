/** Passwords are used and never shown: everything that a broker and a proxy say is searched for words that only secrets have in them. */
import { createHmac } from "node:crypto";
import { createServer } from "node:net";
import { pino } from "pino";
import { expect, it } from "vitest";
import { signedFields } from "../auth/signature.ts";
import { startBroker, startCluster, startProxy } from "../index.ts";
import { signerOf } from "../mqadmin/credentials.ts";
import { doctor } from "../mqadmin/doctor/doctor.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { GrpcTestClient } from "../testing/grpcClient.ts";
import { RawClient } from "../testing/rawClient.ts";

const CANARY = "canary-9f3b";
const root = { accessKey: "root", secretKey: `${CANARY}-root`, securityToken: undefined };
const CREDENTIALS = JSON.stringify({ accessKey: root.accessKey, secretKey: root.secretKey });
const USERS = {
  authenticationEnabled: "true",
  authorizationEnabled: "true",
  initAuthenticationUser: JSON.stringify({ username: root.accessKey, password: root.secretKey }),
  innerClientAuthenticationCredentials: CREDENTIALS,
};
const PAGES = ["/", "/api/overview", "/api/config", "/api/topics", "/api/groups", "/api/rates", "/ready", "/nothing"];

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

it("shows no secret in any log line, answer, metric or page", async () => {
  const said: string[] = [];
  const log = pino({ level: "trace" }, { write: (line: string) => void said.push(line) });
  const refused = async (config: Record<string, string>, start: (config: Record<string, string>) => Promise<unknown>) =>
    said.push(await start(config).then(String, (error: Error) => `refused ${error.stack}`));

  // Starts that fail, each with a secret in what is wrong.
  const broker = (config: Record<string, string>) => startBroker({ namesrvAddr: "127.0.0.1:1", config, log });
  const proxy = (config: Record<string, string>) => startProxy({ namesrvAddr: "127.0.0.1:1", config, log });
  for (const wrong of [CANARY, `{"username":"${CANARY}"}`, `{"password":"${CANARY}`, `["${CANARY}"]`]) {
    await refused({ ...USERS, initAuthenticationUser: wrong }, broker);
    await refused({ ...USERS, innerClientAuthenticationCredentials: wrong }, broker);
    await refused({ innerClientAuthenticationCredentials: wrong }, proxy);
  }
  await refused({ tlsTestModeEnable: "false", tlsKeyPassword: CANARY, tlsKeyPath: "none", tlsCertPath: "none" }, proxy);
  expect(said.filter((line) => line.startsWith("refused ")).length).toBe(13);

  const metricsPort = await freePort();
  const cluster = await startCluster({
    config: { ...USERS, metricsExporterType: "PROM", metricsPromExporterPort: String(metricsPort) },
    consolePort: 0,
    log,
  });
  const signing = { enableAclRpcHookForClusterMode: "true", innerClientAuthenticationCredentials: CREDENTIALS };
  const gate = await startProxy({
    namesrvAddr: cluster.namesrvAddr,
    // An initial user is the brokers' to make: said without showing him.
    config: { ...USERS, ...signing },
    log,
  });
  const client = await RawClient.connect(cluster.brokerAddr);
  const asked: [code: number, remark: string | undefined][] = [];
  const ask = async (code: number, fields: Record<string, string>, body?: string, by = root) => {
    const reply = await client.ask(code, {
      fields: signedFields(fields, body, by),
      ...(body === undefined ? {} : { body }),
    });
    asked.push([reply.code, reply.remark]);
    // Who asks for users as a super user is told their passwords, as by Apache.
    if (code !== RequestCode.AUTH_GET_USER)
      said.push(JSON.stringify(reply.fields), reply.remark ?? "", String(reply.body));
  };
  const bob = { username: "bob" };
  await ask(RequestCode.AUTH_CREATE_USER, bob, `{"password":"${CANARY}-bob"}`);
  await ask(RequestCode.AUTH_CREATE_USER, bob, `{"password":"${CANARY}-again"}`);
  await ask(RequestCode.AUTH_CREATE_USER, { username: "eve" }, `{"password":"${CANARY}`);
  await ask(RequestCode.AUTH_UPDATE_USER, bob, `{"password":"${CANARY}-bob2","userType":"${CANARY}"}`);
  await ask(RequestCode.AUTH_GET_USER, bob);
  await ask(RequestCode.GET_BROKER_CONFIG, {});
  await ask(RequestCode.GET_BROKER_CONFIG, {}, undefined, { ...root, secretKey: `${CANARY}-wrong` });
  await ask(RequestCode.GET_BROKER_CONFIG, {}, undefined, { ...root, accessKey: "bob", secretKey: `${CANARY}-bob2` });
  await ask(RequestCode.UPDATE_BROKER_CONFIG, {}, `initAuthenticationUser={"username":"x","password":"${CANARY}"}`);
  await ask(RequestCode.UPDATE_BROKER_CONFIG, {}, `innerClientAuthenticationCredentials=${CANARY}`);
  await ask(RequestCode.GET_BROKER_CONFIG, {});
  expect(asked.map(([code]) => code)).toEqual([0, 16, 1, 0, 0, 0, 16, 16, 16, 16, 0]);

  const date = "20260101T000000Z";
  for (const secretKey of [root.secretKey, `${CANARY}-wrong`]) {
    const signature = createHmac("sha1", secretKey).update(date).digest("hex");
    const authorization = `MQv2-HMAC-SHA1 Credential=root, SignedHeaders=x-mq-date-time, Signature=${signature}`;
    for (const address of [cluster.grpcAddr, gate.address]) {
      const grpc = new GrpcTestClient(address, { "x-mq-date-time": date, authorization });
      const endpoints = { scheme: 1, addresses: [{ host: "127.0.0.1", port: 1 }] };
      said.push(JSON.stringify(await grpc.call("QueryRoute", { topic: { name: "TBW102" }, endpoints })));
      grpc.close();
    }
  }
  const tools = `accessKey: root\nsecretKey: ${root.secretKey}\n`;
  await doctor(
    { namesrvAddr: cluster.namesrvAddr, sign: signerOf(tools) },
    (text) => void said.push(text),
    () => undefined,
  );
  const basic = { authorization: `Basic ${Buffer.from(`root:${root.secretKey}`).toString("base64")}` };
  const pages = PAGES.map((page) => `http://${cluster.consoleAddr}${page}`);
  for (const url of [...pages, `http://127.0.0.1:${metricsPort}/metrics`]) {
    for (const headers of [{}, basic]) said.push(await (await fetch(url, { headers })).text());
  }
  client.close();
  await gate.close();
  await cluster.close();

  const all = said.join("\n");
  // What was searched is what it should be: the whole log, the configuration, the metrics.
  for (const words of ["user created", "authentication refused", "brokerClusterName=", "rocketmq_broker_permission"]) {
    expect(all).toContain(words);
  }
  const secrets = [CANARY, Buffer.from(CANARY).toString("base64").slice(0, -4)];
  expect(said.filter((text) => secrets.some((secret) => text.includes(secret)))).toEqual([]);
});
