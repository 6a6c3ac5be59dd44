/** A proxy of its own that lets in whom the brokers of its cluster know, and signs what it asks of them. */
import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signedFields } from "../auth/signature.ts";
import { Code } from "../grpc/generated/messages.ts";
import { type Running, type RunningCluster, startCluster, startProxy } from "../index.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { GrpcTestClient } from "../testing/grpcClient.ts";
import { RawClient } from "../testing/rawClient.ts";

const ROOT = { accessKey: "root", secretKey: "root-secret", securityToken: undefined };
const BOB = { accessKey: "bob", secretKey: "bob-secret", securityToken: undefined };
const CREDENTIALS = JSON.stringify({ accessKey: ROOT.accessKey, secretKey: ROOT.secretKey });
const CONTROL = { authenticationEnabled: "true", authorizationEnabled: "true" };
const SIGNING = {
  enableAclRpcHookForClusterMode: "true",
  innerClientAuthenticationCredentials: CREDENTIALS,
  // What a test changes is to be seen at once.
  userCacheRefreshSeconds: "0",
  userCacheExpiredSeconds: "0",
  aclCacheRefreshSeconds: "0",
  aclCacheExpiredSeconds: "0",
};

let cluster: RunningCluster;
let admin: RawClient;
const proxies: Running[] = [];

beforeAll(async () => {
  const initAuthenticationUser = JSON.stringify({ username: ROOT.accessKey, password: ROOT.secretKey });
  cluster = await startCluster({ topics: ["open", "closed"], config: { ...CONTROL, initAuthenticationUser } });
  admin = await RawClient.connect(cluster.brokerAddr);
  await ask(RequestCode.AUTH_CREATE_USER, { username: "bob" }, { password: BOB.secretKey });
});

afterAll(async () => {
  for (const proxy of proxies) await proxy.close();
  admin.close();
  await cluster.close();
});

async function ask(code: number, fields: Record<string, string>, body: object): Promise<void> {
  const text = JSON.stringify(body);
  const reply = await admin.ask(code, { fields: signedFields(fields, text, ROOT), body: text });
  expect(reply.code, reply.remark).toBe(0);
}

const give = (resource: string, actions: string[]) =>
  ask(
    RequestCode.AUTH_CREATE_ACL,
    { subject: "User:bob" },
    { policies: [{ entries: [{ resource, actions, decision: "Allow" }] }] },
  );

async function proxyWith(config: Record<string, string>): Promise<string> {
  const proxy = await startProxy({ namesrvAddr: cluster.namesrvAddr, config });
  proxies.push(proxy);
  return proxy.address;
}

function headersOf({ accessKey, secretKey }: typeof ROOT): Record<string, string> {
  const date = "20260101T000000Z";
  const signature = createHmac("sha1", secretKey).update(date).digest("hex");
  return {
    "x-mq-date-time": date,
    authorization: `MQv2-HMAC-SHA1 Credential=${accessKey}, SignedHeaders=x-mq-date-time, Signature=${signature}`,
  };
}

/** What sending, asking for a route and receiving end with. */
async function outcomes(address: string, by: typeof ROOT | undefined, topic: string): Promise<string[]> {
  const client = new GrpcTestClient(address, by === undefined ? {} : headersOf(by));
  const name = { name: topic };
  const messages = [
    {
      topic: name,
      body: Buffer.from("b"),
      systemProperties: { messageId: "01000000000000000000000000000000", bodyEncoding: 1 },
    },
  ];
  const endpoints = { scheme: 1, addresses: [{ host: "127.0.0.1", port: 1 }] };
  const told = (status: { code: number; message: string } | null | undefined) =>
    status?.code === Code.UNAUTHORIZED ? status.message : String(status?.code);
  try {
    const received = await client.stream("ReceiveMessage", {
      group: { name: "GID" },
      messageQueue: { topic: name, id: 0, permission: 0, broker: null, acceptMessageTypes: [] },
    } as never);
    return [
      told((await client.call("QueryRoute", { topic: name, endpoints })).status),
      told((await client.call("SendMessage", { messages } as never)).status),
      told(received.find(({ status }) => status)?.status),
    ];
  } finally {
    client.close();
  }
}

const thrice = (text: string) => [text, text, text];

describe("a proxy that controls access", () => {
  let address: string;
  beforeAll(async () => {
    address = await proxyWith({ ...CONTROL, ...SIGNING });
  });

  it("knows the users of the brokers, and the same words for those that are none", async () => {
    expect((await outcomes(address, ROOT, "open")).slice(0, 2)).toEqual(["20000", "20000"]);
    expect(await outcomes(address, undefined, "open")).toEqual(thrice("username cannot be null."));
    expect(await outcomes(address, { ...ROOT, secretKey: "wrong" }, "open")).toEqual(thrice("check signature failed."));
    expect(await outcomes(address, { ...ROOT, accessKey: "ghost" }, "open")).toEqual(thrice("check signature failed."));
  });

  it("lets users do what their rights at the brokers say, as they are now", async () => {
    const denied = (what: string) =>
      `User:bob has no permission to access ${what} from 127.0.0.1, no matched policies.`;
    expect(await outcomes(address, BOB, "closed")).toEqual([
      denied("Topic:closed"),
      denied("Topic:closed"),
      denied("Group:GID"),
    ]);
    await give("Topic:open", ["Pub"]);
    expect((await outcomes(address, BOB, "open")).slice(0, 2)).toEqual(["20000", "20000"]);
    expect((await outcomes(address, BOB, "closed"))[1]).toBe(denied("Topic:closed"));
    await ask(RequestCode.AUTH_UPDATE_USER, { username: "bob" }, { userStatus: "disable" });
    expect(await outcomes(address, BOB, "open")).toEqual(thrice("User:bob is disabled."));
    await ask(RequestCode.AUTH_UPDATE_USER, { username: "bob" }, { userStatus: "enable" });
    expect((await outcomes(address, BOB, "open"))[0]).toBe("20000");
  });

  it("lets nobody in while it may not ask the brokers", async () => {
    const unsigned = await proxyWith(CONTROL);
    expect(await outcomes(unsigned, ROOT, "open")).toEqual(thrice("the user cannot be looked up. Please try again."));
  });
});

describe("a proxy that controls nothing", () => {
  it("reaches brokers that do, with credentials of its own", async () => {
    expect((await outcomes(await proxyWith(SIGNING), undefined, "open")).slice(0, 2)).toEqual(["20000", "20000"]);
    const [, sent] = await outcomes(await proxyWith({}), undefined, "open");
    expect(sent).not.toBe("20000");
  });
});

describe("its options", () => {
  const refused = async (config: Record<string, string>) =>
    startProxy({ namesrvAddr: "127.0.0.1:1", config }).then(
      async (proxy) => {
        await proxy.close();
        return "started";
      },
      (error: Error) => error.message,
    );

  it("are refused where they promise what a proxy does not have, without showing a secret", async () => {
    const local = "org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider";
    expect(await refused({ ...CONTROL, authenticationMetadataProvider: local })).toMatch(/no users of its own/);
    const wrong = await refused({
      ...CONTROL,
      innerClientAuthenticationCredentials: '{"accessKey":"a","secret":"hush"}',
    });
    expect(wrong).toMatch(/^innerClientAuthenticationCredentials: must be/);
    expect(wrong).not.toMatch(/hush/);
  });
});
