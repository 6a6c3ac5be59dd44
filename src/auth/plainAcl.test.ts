import { describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { AuthTables } from "./authTables.ts";
import { PlainUsers, readPlainAcl } from "./plainAcl.ts";
import { convertPlainAcl } from "./plainConversion.ts";
import { decidingEntry } from "./policies.ts";
import { addressPattern } from "./whiteAddresses.ts";

/** The file that RocketMQ 4 comes with. */
const SHIPPED = `# Licensed to somebody
globalWhiteRemoteAddresses:
  - 10.10.103.*
  - 192.168.0.*

accounts:
  - accessKey: RocketMQ
    secretKey: 12345678
    whiteRemoteAddress:
    admin: false
    defaultTopicPerm: DENY
    defaultGroupPerm: SUB
    topicPerms:
      - topicA=DENY
      - topicB=PUB|SUB
      - topicC=SUB
    groupPerms:
      # the group should convert to retry topic
      - groupA=DENY
      - groupB=PUB|SUB
      - groupC=SUB

  - accessKey: rocketmq2
    secretKey: "1234#5678" # quoted
    whiteRemoteAddress: 192.168.1.*
    # if it is admin, it could access all resources
    admin: true
`;

const read = (...texts: string[]) => readPlainAcl(texts.map((text, i) => ({ path: `f${i}.yml`, text })));
const problem = (text: string): string => {
  try {
    read(text);
    return "none";
  } catch (error) {
    return (error as Error).message;
  }
};

describe("plain_acl.yml", () => {
  it("gives the rights that it says", () => {
    const users = new PlainUsers(read(SHIPPED));
    const { policies = [], type } = users.find("RocketMQ") ?? {};
    const may = (kind: "Topic" | "Group", name: string, action: "Pub" | "Sub" | "Get") =>
      decidingEntry(policies, kind, name, { names: [action] }, "1.1.1.1")?.decision ?? "none";
    expect(type).toBe("Normal");
    expect(["topicA", "topicB", "topicC", "other"].map((name) => may("Topic", name, "Pub"))).toEqual([
      "Deny",
      "Allow",
      "Deny",
      "Deny",
    ]);
    expect(["topicC", "topicA"].map((name) => may("Topic", name, "Get"))).toEqual(["Allow", "Deny"]);
    expect(["groupA", "groupC", "other"].map((name) => may("Group", name, "Sub"))).toEqual(["Deny", "Allow", "Allow"]);
    expect(users.find("rocketmq2")).toMatchObject({ type: "Super", password: "1234#5678" });
    expect([users.isWhite("192.168.0.9", undefined), users.isWhite("192.168.1.9", undefined)]).toEqual([true, false]);
    expect([users.isWhite("192.168.1.9", "rocketmq2"), users.isWhite("192.168.1.9", "RocketMQ")]).toEqual([
      true,
      false,
    ]);
  });

  it("may lie in several files, of which the first has the word about an account", () => {
    const one = "accounts:\n- accessKey: account1\n  secretKey: secret-1\n";
    const { accounts } = read(one, one.replace("secret-1", "secret-2"), "globalWhiteRemoteAddresses: [1.1.1.1]\n", "");
    expect(accounts.map(({ secretKey, place }) => `${secretKey} ${place}`)).toEqual(["secret-1 f0.yml:2"]);
  });

  it("is refused with file, line and reason", () => {
    const account = "accounts:\n- accessKey: account1\n  secretKey: secret-1\n";
    const table: [string, string][] = [
      ["accounts:\n- accessKey: short\n", "f0.yml:2: accessKey must have more than 6 characters"],
      ["accounts:\n- accessKey: account1\n", "f0.yml:2: secretKey must have more than 6 characters"],
      [`${account}  topicPerms:\n  - a=PUBB\n`, "f0.yml:5: PUBB is none of PUB, SUB, PUB|SUB, DENY"],
      [`${account}  topicPerms:\n  - a\n`, "f0.yml:5: topicPerms must be name=PUB, SUB, PUB|SUB or DENY"],
      [`${account}  admin: yes\n`, "f0.yml:4: admin must be true or false"],
      [`${account}  admn: true\n`, "f0.yml:4: admn is none of accessKey, secretKey, whiteRemoteAddress, admin, "],
      [`${account}  whiteRemoteAddress: here\n`, "f0.yml:4: here is no address and no pattern of addresses"],
      [`${account}  accessKey: account2\n`, "f0.yml:4: accessKey is there twice"],
      [`${account}\tadmin: true\n`, "f0.yml:4: tabs cannot indent"],
      [`${account}     admin: true\n`, "f0.yml:4: is indented like nothing before it"],
      ["account:\n", "f0.yml:1: account is none of globalWhiteRemoteAddresses, accounts, dataVersion"],
      ["accounts: &a\n", 'f0.yml:1: "&a" is none of the values that can be here'],
      ["just text\n", 'f0.yml:1: expected "key: value", found "just text"'],
      ['accounts:\n- accessKey: "account1\n', "f0.yml:2: a quote that does not end"],
    ];
    for (const [text, reason] of table) expect([text, problem(text).slice(0, reason.length)]).toEqual([text, reason]);
  });

  it("shows no secret in what it refuses", () => {
    expect(problem("accounts:\n- accessKey: account1\n  secretKey:hushhushhushhush\n")).not.toContain("hushhush");
  });
});

describe("white addresses", () => {
  it("are patterns of addresses", () => {
    const table: [string, string, string][] = [
      ["10.1.2.3", "10.1.2.3", "10.1.2.4"],
      ["10.1.2.*", "10.1.2.77", "10.1.3.1"],
      ["10.1-3.*.*", "10.3.9.9", "10.4.1.1"],
      ["10.1.2.{3,5}", "10.1.2.5", "10.1.2.4"],
      ["10.1.2.3,10.1.2.{7,8}", "10.1.2.8", "10.1.2.9"],
      ["fd00::1", "fd00:0:0::1", "fd00::2"],
      ["fd00:*", "fd00::2", "fd01::2"],
    ];
    for (const [pattern, white, other] of table) {
      const matches = addressPattern(pattern);
      expect([pattern, matches?.(white), matches?.(other)]).toEqual([pattern, true, false]);
    }
    expect(addressPattern("*")?.("::1")).toBe(true);
    for (const bad of ["", "10.1.2", "10.1.2.256", "10.1.2.5-3", "10.1.2.{1", "host", "1.2.3.4,"]) {
      expect([bad, addressPattern(bad)]).toEqual([bad, undefined]);
    }
  });
});

describe("the conversion", () => {
  it("makes users and rights, and says what is left behind", async () => {
    const file = new MetadataFile(new MemoryDisk(), "/auth.json");
    const tables = new AuthTables(file, new FakeClock(), silentLogger());
    const first = await convertPlainAcl(read(SHIPPED), tables);
    expect(first.made).toEqual(["RocketMQ", "rocketmq2"]);
    expect(first.left.map((sentence) => sentence.split(":")[0])).toEqual([
      "globalWhiteRemoteAddresses 10.10.103.* 192.168.0.*",
      "f0.yml",
    ]);
    expect(tables.find("RocketMQ")?.policies.map(({ type, entries }) => `${type} ${entries.length}`)).toEqual([
      "Custom 6",
      "Default 2",
    ]);
    const second = await convertPlainAcl(read(SHIPPED), tables);
    expect([second.made, second.left.length]).toEqual([[], 3]);
  });
});
