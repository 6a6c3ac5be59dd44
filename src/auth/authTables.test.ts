import { describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { AuthTables } from "./authTables.ts";

const FILE = "/store/config/auth.json";
const open = (disk: MemoryDisk) => new AuthTables(new MetadataFile(disk, FILE), new FakeClock(), silentLogger());
const acl = (resource: string) => ({ policies: [{ entries: [{ resource, actions: ["Pub"], decision: "Allow" }] }] });

describe("AuthTables", () => {
  it("has on disk what it has answered, and reads it again", async () => {
    const disk = new MemoryDisk();
    const tables = open(disk);
    await tables.createUser({ username: "b", password: "pb" });
    await tables.createUser({ username: "a", password: "pa", userType: "super", userStatus: "DISABLE" });
    await tables.putAcl("User:b", acl("Topic:t"));
    await tables.putAcl("User:b", acl("Topic:u*"));
    const again = open(disk);
    expect(again.list(undefined).map(({ username, type, status }) => `${username} ${type} ${status}`)).toEqual([
      "a Super disable",
      "b Normal enable",
    ]);
    expect(again.find("b")?.password).toBe("pb");
    expect(again.listAcl(undefined, "u*")).toEqual([
      {
        subject: "User:b",
        policies: [{ policyType: "Custom", entries: [{ resource: "Topic:u*", actions: ["Pub"], decision: "Allow" }] }],
      },
    ]);
    await again.deleteUser("b");
    // His rights go with him: whoever gets the name later has none.
    const last = open(disk);
    await last.createUser({ username: "b", password: "other" });
    expect(last.getAcl("User:b")).toBeUndefined();
  });

  it("refuses in Apache's words", async () => {
    const tables = open(new MemoryDisk());
    await tables.createUser({ username: "a", password: "p" });
    expect(() => tables.createUser({ username: "a", password: "p" })).toThrow("The user is existed");
    expect(() => tables.createUser({ username: "x", password: " " })).toThrow("password can not be blank");
    expect(() => tables.updateUser({ username: "x" })).toThrow("The user is not exist");
    expect(() => tables.putAcl("User:x", acl("Topic:t"))).toThrow("The subject of User:x is not exist.");
    expect(() => tables.putAcl("Role:x", acl("Topic:t"))).toThrow("The subject type is null.");
    expect(() => tables.deleteAcl("User:a", undefined, undefined)).toThrow("The acl is not exist.");
  });

  it("counts its changes, and knows when a master's tables are its own already", async () => {
    const tables = open(new MemoryDisk());
    await tables.createUser({ username: "a", password: "p" });
    await tables.putAcl("User:a", acl("Topic:t"));
    const { version } = tables;
    const users = [{ username: "a", password: "p", userType: "Normal", userStatus: "enable" }];
    await tables.follow(users, tables.listAcl(undefined, undefined));
    expect(tables.version).toBe(version);
    await tables.follow([...users, { username: "b", password: "q", userType: "Super", userStatus: "enable" }], []);
    expect(tables.version).toBe(version + 1);
    expect([tables.find("b")?.type, tables.find("a")?.policies]).toEqual(["Super", []]);
  });

  it("does not forget its users: a file that cannot be read ends the start", async () => {
    const disk = new MemoryDisk();
    await new MetadataFile(disk, FILE).write("{");
    expect(() => open(disk)).toThrow(/users and rights cannot be read: .*auth\.json/);
  });
});
