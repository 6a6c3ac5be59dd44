import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { seededRandom } from "../base/random.ts";
import { startBroker, startCluster, startNameServer } from "../index.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { RawClient } from "../testing/rawClient.ts";
import { selfSigned } from "../tls/certificate.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function closing<R extends { close(): Promise<void> }>(running: R): R {
  cleanups.push(() => running.close());
  return running;
}

function directory(): string {
  const dir = mkdtempSync(join(tmpdir(), "skylark-test-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** What a PEM holds, base64. */
const derOf = (pem: string) => pem.replace(/-----[^-]+-----|\n/g, "");

async function secure(address: string, options: ConnectionOptions = {}): Promise<RawClient> {
  const [host, port] = address.split(":");
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ...options });
  cleanups.push(() => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("secureConnect", () => resolve());
  });
  return new RawClient(socket);
}

async function plainIsClosed(address: string): Promise<boolean> {
  const one = await RawClient.connect(address);
  const answer = one.ask(RequestCode.GET_BROKER_CLUSTER_INFO).then(() => false);
  return Promise.race([answer, one.closed.then(() => true)]);
}

const send = (to: RawClient, topic: string, body: string) =>
  to.ask(RequestCode.SEND_MESSAGE_V2, {
    fields: { a: "p", b: topic, c: "TBW102", d: 1, e: 0, f: 0, g: 1, h: 0, i: "UNIQ_KEY\u0001u\u0002" },
    body,
  });

const fastPortOf = (brokerAddr: string) => brokerAddr.replace(/\d+$/, (port) => String(Number(port) - 2));

async function clusterInfo(namesrv: RawClient): Promise<string> {
  return (await namesrv.ask(RequestCode.GET_BROKER_CLUSTER_INFO)).body.toString();
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never: ${what}`);
}

describe("a process with tls.server.mode=enforcing", () => {
  it("takes TLS only on every port, and speaks it with itself", async () => {
    const cluster = closing(await startCluster({ config: { "tls.server.mode": "enforcing" } }));
    const { namesrvAddr, brokerAddr, grpcAddr } = cluster;
    for (const address of [namesrvAddr, brokerAddr, fastPortOf(brokerAddr), grpcAddr]) {
      expect([address, await plainIsClosed(address)]).toEqual([address, true]);
    }
    const namesrv = await secure(namesrvAddr);
    // The broker of the same process registered by TLS.
    expect(await clusterInfo(namesrv)).toContain(brokerAddr);
    const broker = await secure(brokerAddr);
    expect((await send(broker, "TlsTopic", "secret")).code).toBe(0);
    expect((await (await secure(fastPortOf(brokerAddr))).ask(RequestCode.HEART_BEAT, { body: "{}" })).code).toBe(0);
    const config = (await broker.ask(RequestCode.GET_BROKER_CONFIG)).body.toString();
    expect(config).toContain("tls.server.mode=enforcing\n");
    expect(config).toContain("useTLS=true\n");
  });

  it("lets no request change TLS", async () => {
    const { brokerAddr } = closing(await startCluster());
    const broker = await RawClient.connect(brokerAddr);
    cleanups.push(() => broker.close());
    const answer = await broker.ask(RequestCode.UPDATE_BROKER_CONFIG, { body: "tls.server.mode=disabled\n" });
    expect([answer.code, answer.remark]).toEqual([16, "Can not update config in black list."]);
  });
});

describe("the gRPC port", () => {
  it("takes renewed files of rmq-proxy.json while it runs", async () => {
    const dir = directory();
    const [first, second] = [selfSigned(Date.now(), seededRandom(1)), selfSigned(Date.now(), seededRandom(2))];
    const [tlsCertPath, tlsKeyPath] = [join(dir, "crt"), join(dir, "key")];
    const write = ({ cert, key }: typeof first) => {
      writeFileSync(tlsCertPath, cert);
      writeFileSync(tlsKeyPath, key);
    };
    write(first);
    const proxyConfig = { tlsTestModeEnable: "false", tlsCertPath, tlsKeyPath, tlsCertWatchIntervalMs: "50" };
    const { grpcAddr } = closing(await startCluster({ proxyConfig }));
    const shown = async () => {
      const one = await secure(grpcAddr, { ALPNProtocols: ["h2"] });
      const { raw } = (one.socket as TLSSocket).getPeerCertificate();
      one.close();
      return raw.toString("base64");
    };
    expect(await shown()).toBe(derOf(first.cert));
    write(second);
    await until(async () => (await shown()) === derOf(second.cert), "the renewed certificate");
  });
});

describe("a broker and a NameServer of their own", () => {
  it("meet by TLS, with certificates that each verifies, and take renewed ones while they run", async () => {
    const dir = directory();
    const [server, client] = [selfSigned(Date.now(), seededRandom(1)), selfSigned(Date.now(), seededRandom(2))];
    const write = (name: string, text: string) => {
      writeFileSync(join(dir, `${name}.new`), text);
      renameSync(join(dir, `${name}.new`), join(dir, name));
      return join(dir, name);
    };
    const file = write(
      "tls.properties",
      [
        "tls.test.mode.enable=false",
        "tls.server.need.client.auth=require",
        "tls.server.authClient=true",
        `tls.server.certPath=${write("server.crt", server.cert)}`,
        `tls.server.keyPath=${write("server.key", server.key)}`,
        `tls.server.trustCertPath=${write("client.crt", client.cert)}`,
        "tls.client.authServer=true",
        `tls.client.certPath=${join(dir, "client.crt")}`,
        `tls.client.keyPath=${write("client.key", client.key)}`,
        `tls.client.trustCertPath=${join(dir, "server.crt")}`,
      ].join("\n"),
    );
    const config = { "tls.server.mode": "enforcing", "tls.config.file": file };
    const namesrv = closing(await startNameServer({ config }));
    const store = join(dir, "store");
    const first = await startBroker({ namesrvAddr: namesrv.address, store, config });
    const asked = connect({
      host: "127.0.0.1",
      port: Number(namesrv.address.split(":")[1]),
      cert: client.cert,
      key: client.key,
      ca: server.cert,
      checkServerIdentity: () => undefined,
    });
    cleanups.push(() => asked.destroy());
    await new Promise((resolve) => asked.once("secureConnect", resolve));
    const operator = new RawClient(asked);
    expect(await clusterInfo(operator)).toContain(first.address);
    await first.close();

    // A new certificate for the NameServer, which the next broker trusts and the old one would not.
    const renewed = selfSigned(Date.now(), seededRandom(3));
    write("server.key", renewed.key);
    write("server.crt", renewed.cert);
    const shown = () =>
      new Promise<string>((resolve) => {
        const look = connect({
          host: "127.0.0.1",
          port: Number(namesrv.address.split(":")[1]),
          cert: client.cert,
          key: client.key,
          rejectUnauthorized: false,
        });
        look.on("error", () => resolve("error"));
        look.once("secureConnect", () => {
          resolve(look.getPeerCertificate().raw.toString("base64"));
          look.destroy();
        });
      });
    const der = derOf(renewed.cert);
    await until(async () => (await shown()) === der, "the NameServer shows the renewed certificate");
    const second = closing(await startBroker({ namesrvAddr: namesrv.address, store, config }));
    await until(async () => (await clusterInfo(operator)).includes(second.address), "the second broker is registered");
  });

  it("do not start with certificates that cannot be read", async () => {
    const config = { "tls.test.mode.enable": "false", "tls.server.certPath": "/no/c", "tls.server.keyPath": "/no/k" };
    await expect(startNameServer({ config })).rejects.toThrow(/^tls\.server\.certPath=\/no\/c cannot be read: ENOENT/);
    await expect(startCluster({ config: { "tls.server.mode": "on" } })).rejects.toThrow(
      "configuration: tls.server.mode=on: not one of disabled, permissive, enforcing",
    );
  });
});
