import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signedFields } from "../auth/signature.ts";
import { type RunningCluster, startBroker, startCluster } from "../index.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { GrpcTestClient } from "../testing/grpcClient.ts";
import { RawClient } from "../testing/rawClient.ts";

const root = { accessKey: "root", secretKey: "root-secret", securityToken: undefined };
const bob = { accessKey: "bob", secretKey: "bob-secret", securityToken: undefined };
const LANGUAGES = [0, 1];

let cluster: RunningCluster;
let client: RawClient;
const ask = (code: number, fields: Record<string, string>, body?: string, by = root, serialization = 0) =>
  client.ask(code, { fields: signedFields(fields, body, by), serialization, ...(body === undefined ? {} : { body }) });

const CONTROLLED = {
  brokerName: "controlled",
  authenticationEnabled: "true",
  authorizationEnabled: "true",
  initAuthenticationUser: JSON.stringify({ username: root.accessKey, password: root.secretKey }),
  innerClientAuthenticationCredentials: JSON.stringify({ accessKey: root.accessKey, secretKey: root.secretKey }),
};

beforeAll(async () => {
  cluster = await startCluster({ topics: ["open"], config: CONTROLLED });
  client = await RawClient.connect(cluster.brokerAddr);
  expect((await ask(RequestCode.AUTH_CREATE_USER, { username: "bob" }, '{"password":"bob-secret"}')).code).toBe(0);
});

afterAll(async () => {
  client.close();
  await cluster.close();
});

const give = (resource: string, action: string) =>
  ask(
    RequestCode.AUTH_CREATE_ACL,
    { subject: "User:bob" },
    JSON.stringify({ policies: [{ entries: [{ resource, actions: [action], decision: "Allow" }] }] }),
  );

describe("access control of the remoting ports", () => {
  it("knows users by their signature, in either serialization", async () => {
    for (const serialization of LANGUAGES) {
      const fields = { topic: "TBW102", queueId: "0", ü: "é", zz: "" };
      const reply = await ask(RequestCode.GET_MAX_OFFSET, fields, "body", root, serialization);
      expect([reply.code, reply.remark]).not.toContain(16);
      expect(reply.code).toBe(0);
    }
    const stranger = { ...root, accessKey: "nobody" };
    const replies = [
      await client.ask(RequestCode.GET_MAX_OFFSET, { fields: { topic: "t" } }),
      await ask(RequestCode.GET_MAX_OFFSET, { topic: "t" }, undefined, stranger),
      await ask(RequestCode.GET_MAX_OFFSET, { topic: "t" }, undefined, { ...root, secretKey: "wrong" }),
    ];
    expect(replies.map(({ code, remark }) => `${code} ${remark}`)).toEqual([
      "16 username cannot be null.",
      "16 check signature failed.",
      "16 check signature failed.",
    ]);
    const fields = signedFields({ topic: "t" }, undefined, root);
    const changed = await client.ask(RequestCode.GET_MAX_OFFSET, { fields: { ...fields, topic: "u" } });
    expect(changed.remark).toBe("check signature failed.");
  });

  it("forgets what it remembers of a user with every change of his rights", async () => {
    const send = async () =>
      (await ask(RequestCode.GET_MIN_OFFSET, { topic: "TBW102", queueId: "0" }, undefined, bob)).code;
    expect(await send()).toBe(16);
    await give("Topic:TBW102", "Get");
    expect([await send(), await send()]).toEqual([0, 0]);
    await ask(RequestCode.AUTH_DELETE_ACL, { subject: "User:bob" });
    expect(await send()).toBe(16);
    await give("Topic:TBW102", "Get");
    await ask(RequestCode.AUTH_UPDATE_USER, { username: "bob" }, '{"userStatus":"disable"}');
    expect(await send()).toBe(16);
    await ask(RequestCode.AUTH_UPDATE_USER, { username: "bob" }, '{"userStatus":"enable"}');
    expect(await send()).toBe(0);
  });

  it("decides before anything is done", async () => {
    const forged = await client.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, {
      fields: {
        topic: "made",
        defaultTopic: "TBW102",
        readQueueNums: 1,
        writeQueueNums: 1,
        perm: 6,
        topicFilterType: "SINGLE_TAG",
        order: false,
      },
    });
    expect(forged.code).toBe(16);
    expect((await ask(RequestCode.GET_TOPIC_CONFIG, { topic: "made" })).code).toBe(17);
  });

  it("shows no password in the configuration, and takes none", async () => {
    const shown = await ask(RequestCode.GET_BROKER_CONFIG, {});
    expect(shown.body.toString()).toContain("authenticationEnabled=true");
    expect(shown.body.toString()).not.toContain(root.secretKey);
    const body = 'initAuthenticationUser={"username":"me","password":"mine"}';
    expect((await ask(RequestCode.UPDATE_BROKER_CONFIG, {}, body)).code).toBe(16);
    expect((await ask(RequestCode.GET_BROKER_CONFIG, {}, undefined, bob)).code).toBe(16);
  });
});

describe("access control of the gRPC port", () => {
  const date = "20260101T000000Z";
  const headers = (by: typeof root): Record<string, string> => ({
    "x-mq-client-id": "c",
    "x-mq-date-time": date,
    authorization: `MQv2-HMAC-SHA1 Credential=${by.accessKey}//RocketMQ, SignedHeaders=x-mq-date-time, Signature=${createHmac("sha1", by.secretKey).update(date).digest("hex").toUpperCase()}`,
  });
  const route = async (given: Record<string, string>, topic: string) => {
    const grpc = new GrpcTestClient(cluster.grpcAddr as string, given);
    const { status } = await grpc.call("QueryRoute", {
      topic: { name: topic },
      endpoints: { scheme: 1, addresses: [{ host: "127.0.0.1", port: 1 }] },
    });
    grpc.close();
    return `${status?.code} ${status?.message}`;
  };

  it("is the remoting ports' one", async () => {
    expect(await route(headers(root), "open")).toMatch(/^20000 /);
    expect(await route({ "x-mq-client-id": "c" }, "t")).toBe("40100 username cannot be null.");
    for (const by of [
      { ...root, secretKey: "wrong" },
      { ...root, accessKey: "nobody" },
    ]) {
      expect(await route(headers(by), "t")).toBe("40100 check signature failed.");
    }
    const { "x-mq-date-time": _, ...undated } = headers(root);
    expect(await route(undated, "t")).toBe("40100 datetime is null.");
    expect(await route({ ...headers(root), authorization: "x" }, "t")).toBe(
      "40100 authentication header is incorrect.",
    );
    const denied = "40100 User:bob has no permission to access Topic:t from 127.0.0.1, no matched policies.";
    expect(await route(headers(bob), "t")).toBe(denied);
    await give("Topic:t", "Sub");
    expect(await route(headers(bob), "t")).not.toMatch(/^40100/);
  });

  it("looks at every message of a send", async () => {
    await give("Topic:mine", "Pub");
    const grpc = new GrpcTestClient(cluster.grpcAddr as string, headers(bob));
    const messages = ["mine", "theirs"].map((name) => ({ topic: { name }, body: Buffer.from("b") }));
    const { status } = await grpc.call("SendMessage", { messages: messages as never });
    grpc.close();
    expect(status).toMatchObject({ code: 40100, message: expect.stringContaining("Topic:theirs") });
  });
});

describe("a slave", () => {
  it("takes users and rights over from its master, signing as who it is told to be", async () => {
    const slave = await startBroker({
      namesrvAddr: cluster.namesrvAddr,
      config: { ...CONTROLLED, brokerRole: "SLAVE", brokerId: "1" },
    });
    const asked = await RawClient.connect(slave.address);
    const users = async () => {
      const { body } = await asked.ask(RequestCode.AUTH_LIST_USER, { fields: signedFields({}, undefined, root) });
      return body.toString();
    };
    await expect.poll(users, { timeout: 20_000 }).toContain('"username":"bob"');
    asked.close();
    await slave.close();
  });
});

describe("the file of users", () => {
  it("is for the server's own user only", async () => {
    const store = mkdtempSync(join(tmpdir(), "skylark-auth-"));
    const own = await startCluster({ store, config: CONTROLLED });
    await own.close();
    expect(statSync(join(store, "config", "auth.json")).mode & 0o777).toBe(0o600);
    rmSync(store, { recursive: true, force: true });
  });
});

describe("ACL 1.0", () => {
  const home = mkdtempSync(join(tmpdir(), "skylark-acl-"));
  const file = join(home, "conf", "plain_acl.yml");
  const write = (text: string) => writeFileSync(file, text);
  const account = (perm: string) =>
    `accounts:\n- accessKey: account1\n  secretKey: secret-1\n  topicPerms:\n  - TBW102=${perm}\n`;
  mkdirSync(join(home, "conf", "acl"), { recursive: true });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it("is read, read again when it changes, and left in force when the change is wrong", async () => {
    write(account("SUB"));
    const old = await startCluster({ config: { aclEnable: "true", rocketmqHome: home } });
    const asked = await RawClient.connect(old.brokerAddr);
    const by = { accessKey: "account1", secretKey: "secret-1", securityToken: undefined };
    const code = async () => {
      const fields = signedFields({ topic: "TBW102", queueId: "0" }, undefined, by);
      return (await asked.ask(RequestCode.GET_MIN_OFFSET, { fields })).code;
    };
    expect(await code()).toBe(0);
    write(account("DENY # no more"));
    await expect.poll(code, { timeout: 20_000 }).toBe(16);
    write(account("NONSENSE and more"));
    writeFileSync(join(home, "conf", "acl", "white.yml"), "globalWhiteRemoteAddresses:\n- 127.0.0.1\n");
    expect(await code()).toBe(16);
    write(account("DENY # at last"));
    await expect.poll(code, { timeout: 20_000 }).toBe(0);
    asked.close();
    await old.close();
  });

  it("is refused at the start when it is wrong, and becomes ACL 2.0 when asked to", async () => {
    rmSync(join(home, "conf", "acl", "white.yml"), { force: true });
    write(account("NONSENSE"));
    await expect(startCluster({ config: { aclEnable: "true", rocketmqHome: home } })).rejects.toThrow(
      `${file}:5: NONSENSE is none of PUB, SUB, PUB|SUB, DENY`,
    );
    write(account("SUB"));
    const both = { aclEnable: "true", authenticationEnabled: "true", rocketmqHome: home };
    await expect(startCluster({ config: both })).rejects.toThrow(/choose one/);
    const next = await startCluster({
      config: { ...CONTROLLED, migrateAuthFromV1Enabled: "true", rocketmqHome: home },
    });
    const asked = await RawClient.connect(next.brokerAddr);
    const { body } = await asked.ask(RequestCode.AUTH_GET_ACL, {
      fields: signedFields({ subject: "User:account1" }, undefined, root),
    });
    expect(body.toString()).toContain('"actions":["Sub"],"decision":"Allow","resource":"Topic:TBW102"');
    asked.close();
    await next.close();
  });
});
