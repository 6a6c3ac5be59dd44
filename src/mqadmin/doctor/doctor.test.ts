/** Each finding from answers that are made up, and a whole look at a cluster of this process. */
import { Buffer } from "node:buffer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningCluster, startCluster } from "../../index.ts";
import type { ClusterInfo } from "../../protocol/bodies/clusterInfo.ts";
import { newSubscriptionGroupConfig } from "../../protocol/bodies/subscriptionGroup.ts";
import type { Answer } from "../../protocol/dispatch.ts";
import { writeJavaJson } from "../../protocol/javaJson.ts";
import { signerOf } from "../credentials.ts";
import { clientFailure } from "../failures.ts";
import { doctor } from "./doctor.ts";
import { error, fine, verdict, warning } from "./finding.ts";
import { type GroupQuestions, groupFindings } from "./group.ts";
import { brokerFindings, machineFindings, nameServerFindings, type Surroundings } from "./servers.ts";
import { type TopicQuestions, topicFindings } from "./topic.ts";

const NOW = 1_800_000_000_000;
const HEALTHY = {
  bootTimestamp: String(NOW - 90_000),
  runtime: "[ 0 days, 0 hours, 1 minutes, 30 seconds ]",
  commitLogDiskRatio: "0.4",
};

const answer = (code: number, body = ""): Answer => ({ code, remark: "", fields: new Map(), body: Buffer.from(body) });

function clusterOf(brokers: Record<string, Record<number, string>>): ClusterInfo {
  const table = Object.entries(brokers).map(([brokerName, addresses]) => {
    const brokerAddrs = new Map(Object.entries(addresses).map(([id, address]) => [Number(id), address]));
    return [brokerName, { brokerName, cluster: "c", brokerAddrs, enableActingMaster: false }] as const;
  });
  return { brokerAddrTable: new Map(table) as ClusterInfo["brokerAddrTable"], clusterAddrTable: new Map() };
}

interface World {
  nameServers?: string[];
  brokers?: Record<string, Record<number, string>>;
  stats?: Record<string, string> | Error;
  config?: Record<string, string>;
  asked?: Error;
  unknownHosts?: string[];
  files?: number;
}

function world(given: World): Surroundings {
  return {
    now: () => NOW,
    openFilesMax: () => given.files,
    lookup: async (host) => {
      if (given.unknownHosts?.includes(host)) throw new Error("ENOTFOUND");
      return host;
    },
    servers: {
      nameServers: given.nameServers ?? ["ns:9876"],
      clusterInfo: async () => clusterOf(given.brokers ?? { a: { 0: "10.0.0.1:10911" } }),
      runtimeStats: async () => {
        if (given.stats instanceof Error) throw given.stats;
        return new Map(Object.entries({ ...HEALTHY, ...given.stats }));
      },
      brokerConfig: async () => new Map(Object.entries(given.config ?? {})),
      ask: async () => {
        if (given.asked !== undefined) throw given.asked;
        return answer(0);
      },
    },
  };
}

/** What is wrong, as `severity: text -> remedy`. */
const wrong = (found: readonly { severity: string; text: string; remedy?: string }[]): string[] =>
  found.filter(({ severity }) => severity !== "ok").map((one) => `${one.severity}: ${one.text} -> ${one.remedy}`);

describe("servers", () => {
  it("finds nothing wrong with what is right", async () => {
    expect(wrong(await nameServerFindings(world({})))).toEqual([]);
    expect(wrong(await brokerFindings(world({})))).toEqual([]);
    expect(wrong(machineFindings(world({ files: 1_000_000 })))).toEqual([]);
    expect(machineFindings(world({}))).toEqual([]);
  });

  const cases: [what: string, given: World, finding: RegExp][] = [
    ["no broker", { brokers: {} }, /^error: no broker is registered -> start one with namesrvAddr/],
    [
      "a broker without master",
      { brokers: { a: { 1: "h:1" } } },
      /^error: broker a has no master.* -> start its master/,
    ],
    ["a name nobody knows", { brokers: { a: { 0: "box:10911" } }, unknownHosts: ["box"] }, /box is no name.*brokerIP1/],
    [
      "an address nobody reaches",
      { stats: new Error("no route") },
      /^error: .*10\.0\.0\.1:10911, which cannot be reached from here: no route -> set brokerIP1/,
    ],
    [
      "a broker that asks for a user",
      { stats: clientFailure(1, "no user") },
      /^error: .*refuses to be asked.* -> with access control on/,
    ],
    [
      "a loopback address for others",
      { brokers: { a: { 0: "127.0.0.1:10911" } } },
      /^warning: .*look for it on themselves -> set brokerIP1/,
    ],
    [
      "a clock that is ahead",
      { stats: { runtime: "[ 0 days, 0 hours, 2 minutes, 30 seconds ]" } },
      /^warning: .*clock is about 60 s ahead of.* -> keep both in step/,
    ],
    [
      "a clock that is behind",
      { stats: { runtime: "[ 0 days, 0 hours, 0 minutes, 30 seconds ]" } },
      /clock is about 60 s behind/,
    ],
    [
      "a disk that is getting full",
      { stats: { commitLogDiskRatio: "0.81" } },
      /^warning: .*disk is 81 % full: above diskMaxUsedSpaceRatio.* -> give the store/,
    ],
    ["a disk that is full", { stats: { commitLogDiskRatio: "0.93" } }, /^error: .*disk is 93 % full: it refuses/],
    [
      "a lower limit for the disk",
      { stats: { commitLogDiskRatio: "0.5" }, config: { diskMaxUsedSpaceRatio: "45" } },
      /^warning: .*disk is 50 % full/,
    ],
    [
      "a broker that is read only",
      { config: { brokerPermission: "4" } },
      /^error: .*brokerPermission is 4: nobody can send.* -> mqadmin updateBrokerConfig -b 10\.0\.0\.1:10911 -k brokerPermission -v 6/,
    ],
  ];
  for (const [what, given, finding] of cases) {
    it(`finds ${what}`, async () => {
      const found = wrong(await brokerFindings(world(given)));
      expect(found).toHaveLength(1);
      expect(found[0]).toMatch(finding);
    });
  }

  it("finds a NameServer that is away, and that none is named", async () => {
    const away = world({ asked: new Error("connect failed"), nameServers: ["ns:9876", "ns2:9876"] });
    expect(wrong(await nameServerFindings(away))).toEqual([
      expect.stringMatching(/^error: NameServer ns:9876 does not answer: connect failed -> is it started/),
      expect.stringMatching(/^error: NameServer ns2:9876/),
    ]);
    expect(wrong(await nameServerFindings(world({ nameServers: [] })))).toEqual([
      expect.stringContaining("no NameServer is named -> give -n"),
    ]);
  });

  it("finds a low limit of open files", () => {
    expect(wrong(machineFindings(world({ files: 1024 })))).toEqual([
      expect.stringMatching(/^warning: .*only 1024 files.* -> ulimit -n 65536/),
    ]);
  });
});

describe("a topic", () => {
  interface Queues {
    perm?: number;
    read?: number;
    write?: number;
  }
  const questions = (queues: Queues | undefined, autoCreate = "false", served = true): TopicQuestions => ({
    clusterInfo: async () => clusterOf({ a: { 0: "h:1" } }),
    brokerConfig: async () => new Map([["autoCreateTopicEnable", autoCreate]]),
    routeIfAny: async () =>
      queues === undefined
        ? undefined
        : ({
            brokerDatas: served ? [{ brokerName: "a", cluster: "c", brokerAddrs: new Map([[0, "h:1"]]) }] : [],
            queueDatas: [
              {
                brokerName: "a",
                perm: queues.perm ?? 6,
                readQueueNums: queues.read ?? 4,
                writeQueueNums: queues.write ?? 4,
                topicSysFlag: 0,
              },
            ],
          } as unknown as Awaited<ReturnType<TopicQuestions["routeIfAny"]>>),
  });

  const cases: [what: string, questions: TopicQuestions, finding: RegExp][] = [
    [
      "that nobody has",
      questions(undefined),
      /^error: no broker has the topic T.* -> mqadmin updateTopic -c CLUSTER -t T/,
    ],
    [
      "that the first message makes",
      questions(undefined, "true"),
      /^warning: .*the first message for it would make it/,
    ],
    [
      "that nobody may write",
      questions({ perm: 4 }),
      /^error: .*nobody can send \(perm 4\) -> mqadmin updateTopicPerm -t T -p 6/,
    ],
    ["that nobody may read", questions({ perm: 2 }), /^error: .*nobody can consume \(perm 2\)/],
    ["with queues that nobody reads", questions({ read: 2 }), /^error: .*4 queues are written and only 2 are read/],
    ["that is made smaller", questions({ write: 2 }), /^warning: .*4 queues are read and only 2 are written/],
    [
      "of a broker that is away",
      questions({}, "false", false),
      /^error: .*lies on a, which is not registered -> start broker a/,
    ],
  ];
  for (const [what, asked, finding] of cases) {
    it(`is found ${what}`, async () => {
      const found = wrong(await topicFindings(asked, "T"));
      expect(found).toHaveLength(1);
      expect(found[0]).toMatch(finding);
    });
  }

  it("is fine", async () => {
    expect(await topicFindings(questions({}), "T")).toEqual([fine("topic T: 4 queues on a, readable and writable")]);
  });
});

describe("a group", () => {
  type Members = Record<string, string[]>;
  interface GroupWorld {
    known?: boolean;
    consumeEnable?: boolean;
    /** Addresses by client id. */
    members?: Members;
    /** Subscription by client id, as `topic expression`. */
    said?: Record<string, string>;
  }
  const questions = ({ known = true, consumeEnable = true, members = {}, said = {} }: GroupWorld): GroupQuestions => ({
    clusterInfo: async () => clusterOf({ a: { 0: "h:1" }, b: { 1: "slave:1" } }),
    consumerConnection: async () => {
      const connectionSet = Object.entries(members).flatMap(([clientId, addresses]) =>
        addresses.map((clientAddr) => ({ clientId, clientAddr, language: "JAVA", version: 1 })),
      );
      if (connectionSet.length === 0) throw clientFailure(206, "not online");
      return {
        connectionSet,
        subscriptionTable: new Map([
          ["T", {} as never],
          ["%RETRY%g", {} as never],
        ]),
      };
    },
    ask: async (_address, name, header) => {
      if (name === "GET_ALL_SUBSCRIPTIONGROUP_CONFIG") {
        const table = known ? [["g", newSubscriptionGroupConfig("g", { consumeEnable })] as const] : [];
        return answer(0, writeJavaJson({ subscriptionGroupTable: new Map(table) }));
      }
      const text = said[String(header?.clientId)];
      if (text === undefined) return answer(1);
      const [topic, subString] = text.split(" ");
      const own = [
        { topic, subString },
        { topic: "%RETRY%g", subString: "*" },
      ];
      return answer(0, JSON.stringify({ subscriptionSet: own }));
    },
  });

  const two = { x: ["1:1"], y: ["2:2"] };
  const cases: [what: string, world: GroupWorld, finding: RegExp, topic?: string][] = [
    ["that nobody knows", { known: false }, /^error: no broker knows the group g -> its first consumer makes it/],
    ["with nobody online", {}, /^warning: group g: nobody is online/],
    [
      "that may not consume",
      { consumeEnable: false, members: { x: ["1:1"] } },
      /^error: .*may not consume on a.* -> mqadmin updateSubGroup -b h:1 -g g -s true/,
    ],
    [
      "with one id used twice",
      { members: { x: ["1:1", "2:2"] } },
      /^error: .*client id x is used by 1:1 and 2:2.* -> give each process an instanceName/,
    ],
    [
      "whose members want different things",
      { members: two, said: { x: "T a", y: "T b" } },
      /^error: .*different things \(x: T a; y: T b\) -> all members/,
    ],
    [
      "whose members do not say what they want",
      { members: two, said: { x: "T a" } },
      /^warning: .*1 of 2 members do not say/,
    ],
    [
      "that does not consume the topic",
      { members: two, said: { x: "T *", y: "T *" } },
      /^error: .*does not subscribe to Other but to T/,
      "Other",
    ],
  ];
  for (const [what, given, finding, topic] of cases) {
    it(`is found ${what}`, async () => {
      const found = wrong(await groupFindings(questions(given), "g", topic));
      expect(found).toHaveLength(1);
      expect(found[0]).toMatch(finding);
    });
  }

  it("is fine", async () => {
    const given = { members: two, said: { x: "T *", y: "T *" } };
    expect(await groupFindings(questions(given), "g", "T")).toEqual([fine("group g: 2 online, all subscribe to T")]);
  });
});

it("ends with 0, 1 for warnings and 2 for errors", () => {
  expect(verdict([fine("a")])).toEqual({ status: 0, text: "0 errors, 0 warnings, 1 fine\n" });
  expect(verdict([fine("a"), warning("b", "c")])).toEqual({ status: 1, text: "0 errors, 1 warning, 1 fine\n" });
  expect(verdict([error("b", "c"), warning("b", "c")])).toEqual({ status: 2, text: "1 error, 1 warning, 0 fine\n" });
});

describe("doctor", () => {
  let cluster: RunningCluster;
  beforeAll(async () => {
    cluster = await startCluster({ topics: ["Orders"] });
  });
  afterAll(() => cluster.close());

  async function examine(question: { namesrvAddr?: string; topic?: string; group?: string }) {
    let text = "";
    const status = await doctor(
      { namesrvAddr: cluster.namesrvAddr, ...question },
      (part) => {
        text += part;
      },
      () => undefined,
    );
    return { status, text };
  }

  it("looks at a healthy cluster", async () => {
    const { text } = await examine({ topic: "Orders" });
    expect(text).toContain(`ok      NameServer ${cluster.namesrvAddr} answers\n`);
    expect(text).toContain(`ok      broker broker-a (master) answers at ${cluster.brokerAddr}\n`);
    expect(text).toContain("its clock agrees");
    expect(text).toContain("ok      topic Orders: 8 queues on broker-a, readable and writable\n");
    expect(text).not.toContain("cannot be looked at");
  });

  it("says what to do about what is missing", async () => {
    const { status, text } = await examine({ group: "nobody" });
    expect(status).toBe(2);
    expect(text).toMatch(/^ERROR {3}no broker knows the group nobody\n {8}-> /m);
    const away = await examine({ namesrvAddr: "127.0.0.1:1" });
    expect(away.status).toBe(2);
    expect(away.text).toContain("ERROR   NameServer 127.0.0.1:1 does not answer");
  });
});

it("signs what it asks where access is controlled", async () => {
  const users = { authenticationEnabled: "true", initAuthenticationUser: '{"username":"root","password":"hush"}' };
  const cluster = await startCluster({ config: { ...users, authorizationEnabled: "true" } });
  try {
    const examine = async (tools: string | undefined) => {
      let text = "";
      const print = (part: string) => {
        text += part;
      };
      await doctor({ namesrvAddr: cluster.namesrvAddr, sign: signerOf(tools) }, print, () => undefined);
      return text;
    };
    expect(await examine(undefined)).toMatch(/refuses to be asked: .*username cannot be null/);
    expect(await examine("accessKey: root\nsecretKey: wrong\n")).toMatch(/refuses to be asked: .*signature failed/);
    const allowed = await examine("accessKey: root\nsecretKey: hush\n");
    expect(allowed).toMatch(/broker-a \(master\) answers at/);
    expect(allowed).not.toMatch(/refuses|hush/);
  } finally {
    await cluster.close();
  }
});
