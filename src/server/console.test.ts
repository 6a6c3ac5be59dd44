/** The console's API and its guard over HTTP; the page itself is looked at in a browser by compat-tests/console. */
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningCluster, startCluster } from "../index.ts";
import { run } from "../mqadmin/main.ts";

let cluster: RunningCluster;
let port: number;

beforeAll(async () => {
  cluster = await startCluster({ topics: [{ name: "Orders", queues: 2 }], consolePort: 0 });
  port = Number(cluster.consoleAddr?.split(":").at(-1));
});
afterAll(() => cluster.close());

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes.
  json: any;
}

/** With headers that `fetch` would not let through. */
function ask(path: string, given: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const { method = "GET", headers = {}, body } = given;
    const outgoing = request({ host: "127.0.0.1", port, path, method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      response.on("end", () => {
        const isJson = String(response.headers["content-type"]).startsWith("application/json");
        const { statusCode = 0 } = response;
        resolve({ status: statusCode, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  ask(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

async function mqadmin(line: string): Promise<string> {
  let out = "";
  const print = (text: string) => {
    out += text;
  };
  await run(line.split(" "), { out: print, err: print, env: { NAMESRV_ADDR: cluster.namesrvAddr } });
  return out;
}

describe("the page", () => {
  it("is given out with nothing of elsewhere allowed in it", async () => {
    const page = await ask("/");
    expect(page.status).toBe(200);
    expect(page.headers["content-security-policy"]).toContain("default-src 'none'; script-src 'self'");
    expect(page.headers["x-frame-options"]).toBe("DENY");
    for (const [, file] of page.text.matchAll(/(?:href|src)="([^"#]+)"/g)) {
      expect([file, (await ask(`/${file}`)).status]).toEqual([file, 200]);
    }
    expect(page.text).not.toMatch(/https?:\/\//);
    expect((await ask("/../package.json")).status).toBe(404);
    expect((await ask("/constructor")).status).toBe(404);
  });
});

describe("the guard", () => {
  it("answers to addresses and names of this machine only", async () => {
    for (const host of ["localhost:1", "127.0.0.1", "[::1]:8082", "10.1.2.3:80"]) {
      expect([host, (await ask("/api/rates", { headers: { host } })).status]).toEqual([host, 200]);
    }
    for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8082"]) {
      expect([host, (await ask("/api/rates", { headers: { host } })).status]).toEqual([host, 421]);
    }
    // Whoever watches a container does not know its name.
    expect((await ask("/ready", { headers: { host: "anything" } })).status).toBe(200);
  });

  it("takes changes as JSON from its own page only", async () => {
    const change = { key: "autoCreateTopicEnable", value: "false" };
    const refused = [
      await post("/api/config", change, { origin: "http://evil.example" }),
      await post("/api/config", change, { origin: "null" }),
      await post("/api/config", change, { "sec-fetch-site": "cross-site" }),
      await post("/api/config", change, { "sec-fetch-site": "same-site" }),
      await post("/api/config", change, { "content-type": "text/plain" }),
      await post("/api/config", change, { "content-type": "application/x-www-form-urlencoded" }),
    ];
    expect(refused.map(({ status }) => status)).toEqual([403, 403, 403, 403, 415, 415]);
    expect(await mqadmin(`getBrokerConfig -b ${cluster.brokerAddr}`)).toMatch(/autoCreateTopicEnable\s+=\s+true/);
    const own = { origin: `http://localhost:${port}`, host: `localhost:${port}`, "sec-fetch-site": "same-origin" };
    expect((await post("/api/config", change, own)).json).toEqual({ remark: "" });
    expect(await mqadmin(`getBrokerConfig -b ${cluster.brokerAddr}`)).toMatch(/autoCreateTopicEnable\s+=\s+false/);
  });
});

describe("the API", () => {
  it("shows broker, topics and groups", async () => {
    const { json } = await ask("/api/overview");
    expect(json).toMatchObject({
      broker: "broker-a",
      address: cluster.brokerAddr,
      writable: true,
      brokers: [{ name: "broker-a", addresses: [{ id: 0, address: cluster.brokerAddr }] }],
    });
    const topics = (await ask("/api/topics")).json as { name: string }[];
    expect(topics.find(({ name }) => name === "Orders")).toMatchObject({ kind: "normal", readQueues: 2, perm: 6 });
    expect((await ask("/api/topic?name=Orders")).json.queues).toHaveLength(2);
    expect((await ask("/api/topic?name=None")).status).toBe(409);
    expect((await ask("/api/topic")).status).toBe(400);
    expect((await ask("/api/group?name=none")).status).toBe(404);
    expect((await ask("/api/groups")).json).toContainEqual(expect.objectContaining({ name: "TOOLS_CONSUMER" }));
    expect(Object.keys((await ask("/api/pending")).json)).toEqual(["transactions", "timers", "delayed"]);
  });

  it("finds a message by time, key and id, and shows it whole", async () => {
    await mqadmin("sendMessage -t Orders -p hello -k order-7 -c paid -b broker-a -i 1");
    const byTime = (await ask("/api/messages?topic=Orders")).json;
    expect(byTime).toMatchObject([{ topic: "Orders", queueId: 1, keys: "order-7", tags: "paid", bodyBytes: 5 }]);
    const [{ id, uniqueKey, logOffset }] = byTime;
    for (const query of [`topic=Orders&key=order-7`, `id=${id}`, `topic=Orders&id=${uniqueKey}`]) {
      await expect.poll(async () => (await ask(`/api/messages?${query}`)).json).toMatchObject([{ logOffset }]);
    }
    expect((await ask("/api/messages?topic=Orders&key=other")).json).toEqual([]);
    expect((await ask("/api/messages?topic=Orders&begin=1&end=2")).json).toEqual([]);
    expect((await ask(`/api/message?logOffset=${logOffset}`)).json).toMatchObject({
      id,
      body: { text: "hello", isText: true, isWhole: true },
      properties: { KEYS: "order-7", TAGS: "paid" },
    });
    expect((await ask("/api/message?logOffset=999999")).status).toBe(404);
    expect((await ask("/api/message?logOffset=x")).status).toBe(400);
  });

  it("gives a dead letter to its group once more", async () => {
    const group = "billing";
    await mqadmin(`updateSubGroup -b ${cluster.brokerAddr} -g ${group}`);
    await mqadmin(`updateTopic -b ${cluster.brokerAddr} -t %DLQ%${group} -r 1 -w 1`);
    await mqadmin(`sendMessage -t %DLQ%${group} -p lost -k k -b broker-a -i 0`);
    expect((await ask("/api/dlq")).json).toEqual([{ topic: `%DLQ%${group}`, group, messages: 1 }]);
    const [letter] = (await ask(`/api/messages?topic=${encodeURIComponent(`%DLQ%${group}`)}`)).json;
    const sent = await post("/api/dlq/resend", { logOffset: letter.logOffset });
    expect(sent.json).toEqual({ topic: `%RETRY%${group}`, queueOffset: 0 });
    const [again] = (await ask(`/api/messages?topic=${encodeURIComponent(`%RETRY%${group}`)}`)).json;
    expect(again).toMatchObject({ keys: "k", reconsumeTimes: 0, bodyBytes: 4 });
    const [{ logOffset }] = (await ask("/api/messages?topic=Orders")).json;
    expect((await post("/api/dlq/resend", { logOffset })).status).toBe(404);
    expect((await post("/api/dlq/resend", { logOffset: "1" })).status).toBe(400);
  });

  it("explains options, and changes one through the broker's own rules", async () => {
    const options = (await ask("/api/config")).json as { key: string }[];
    expect(options.find(({ key }) => key === "brokerPermission")).toMatchObject({ acts: "at once", value: "6" });
    expect((await post("/api/config", { key: "listenPort", value: "x" })).json.error).toBe(
      "listenPort=x: not an integer",
    );
    expect((await post("/api/config", { key: "storePathRootDir", value: "/tmp" })).status).toBe(409);
    expect((await post("/api/config", { key: "a=b\nbrokerPermission", value: "2" })).status).toBe(400);
    expect((await post("/api/config", { key: "traceOn", value: "true\nbrokerPermission=2" })).status).toBe(400);
    expect((await post("/api/config", "[1]")).status).toBe(400);
    expect((await post("/api/config", "x".repeat(300_000))).status).toBe(413);
    expect((await post("/api/topics", {})).status).toBe(404);
  });
});

it("asks for a super user where access control is on", async () => {
  const guarded = await startCluster({
    consolePort: 0,
    config: {
      authenticationEnabled: "true",
      authorizationEnabled: "true",
      initAuthenticationUser: '{"username":"root","password":"secret"}',
    },
  });
  try {
    const url = `http://${guarded.consoleAddr}/api/rates`;
    const as = (user: string) => ({ headers: { authorization: `Basic ${Buffer.from(user).toString("base64")}` } });
    const statuses = [];
    for (const given of [{}, as("root:wrong"), as("root:"), as("root"), as("nobody:secret"), as("root:secret")]) {
      statuses.push((await fetch(url, given)).status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 200]);
  } finally {
    await guarded.close();
  }
});

it("is not there unless asked for, and its port is free after the stop", async () => {
  const without = await startCluster();
  expect(without.consoleAddr).toBeUndefined();
  await without.close();
  const one = await startCluster({ consolePort: 0 });
  const taken = startCluster({ consolePort: Number(one.consoleAddr?.split(":").at(-1)) });
  await expect(taken).rejects.toThrow(/cannot listen on 127\.0\.0\.1:\d+/);
  await fetch(`http://${one.consoleAddr}/api/rates`);
  await one.close();
  await expect(fetch(`http://${one.consoleAddr}/api/rates`)).rejects.toThrow();
});
