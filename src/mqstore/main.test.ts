/** The command line of mqstore on real files: exit statuses, what dump shows, and that nothing but rebuild writes. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeDisk } from "../store/disk.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { Journal, ROOT, SimStore, SMALL } from "../testing/simStore.ts";
import { run } from "./main.ts";

let dir: string;
let journal: Journal;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "skylark-mqstore-"));
  const sim = new SimStore(new SimDisk(), new Journal(), SMALL);
  await sim.store.start();
  for (let i = 0; i < 80; i++) sim.send("AB"[i % 2], i % 3, 500, { tag: i % 5 === 0 ? "red" : "" });
  await sim.settle();
  await sim.close();
  journal = sim.journal;
  for (const file of sim.disk.files()) {
    const target = join(dir, file.slice(ROOT.length));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, sim.disk.bytes(file));
  }
  mkdirSync(join(dir, "config"));
  writeFileSync(join(dir, "config", "consumerOffset.json"), `{"offsetTable":{"A@G":{0:5}}}`);
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Every file with its bytes and the time of its last change. */
function state(): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => `${file} ${statSync(file).mtimeMs} ${readFileSync(file).toString("base64")}`);
}

async function mqstore(...args: string[]): Promise<{ status: number; out: string; err: string; rows: unknown[] }> {
  let out = "";
  let err = "";
  const status = await run(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  const rows = out.startsWith("{")
    ? out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
    : [];
  return { status, out, err, rows };
}

describe("mqstore", () => {
  it("verify: sound, damaged, and no store; it never writes", async () => {
    const before = state();
    const sound = await mqstore("verify", dir);
    expect(sound.out).toContain("verdict: sound (0)");
    expect(sound.status).toBe(0);
    expect((await mqstore("verify", dir, "--json")).rows).toMatchObject([{ status: 0, facts: { messages: 80 } }]);
    expect(state()).toEqual(before);
    rmSync(join(dir, "checkpoint"));
    expect((await mqstore("verify", dir)).status).toBe(1);
    const victim = journal.log[7];
    const log = join(dir, "commitlog", "0".repeat(20));
    const bytes = readFileSync(log);
    bytes[victim.logOffset + 150] ^= 0xff;
    writeFileSync(log, bytes);
    const damaged = await mqstore("verify", dir);
    expect(damaged.status).toBe(2);
    expect(damaged.out).toMatch(new RegExp(`lost +log .*log offset ${victim.logOffset} `));
    expect((await mqstore("verify", join(dir, "config"))).status).toBe(3);
    expect((await mqstore("verify", join(dir, "absent"))).err).toContain("is no directory");
    expect((await mqstore("verify")).status).toBe(3);
  });

  it("takes sizes from broker.conf, and says when they are not the files'", async () => {
    const conf = join(dir, "..", `${dir.split("/").pop()}.conf`);
    writeFileSync(
      conf,
      "mappedFileSizeCommitLog=16384\nmappedFileSizeConsumeQueue=320\nmaxHashSlotNum=16\nmaxIndexNum=64\n",
    );
    const { status, out } = await mqstore("verify", dir, "-c", conf);
    rmSync(conf);
    expect(status).toBe(2);
    expect(out).toContain("the configured file size is 16384");
  });

  it("dump log: all, from, count, filters, body", async () => {
    const before = state();
    expect((await mqstore("dump", "log", dir)).rows).toHaveLength(80);
    const from = journal.log[40];
    const { rows } = await mqstore("dump", "log", dir, "--from", String(from.logOffset), "--count", "3", "--body", "4");
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatchObject({
      logOffset: from.logOffset,
      topic: from.topic,
      queueId: from.queueId,
      queueOffset: from.queueOffset,
      bodyBytes: 500,
      body: from.body.subarray(0, 4).toString("utf8"),
      properties: { KEYS: `${from.key} every`, UNIQ_KEY: `U${from.id}` },
    });
    expect((await mqstore("dump", "log", dir, "--topic", "B", "--queue", "1")).rows).toHaveLength(
      journal.log.filter(({ topic, queueId }) => topic === "B" && queueId === 1).length,
    );
    expect((await mqstore("dump", "log", dir, "--key", from.key)).rows).toHaveLength(1);
    expect((await mqstore("dump", "log", dir, "--tag", "red")).rows).toHaveLength(16);
    expect(state()).toEqual(before);
  });

  it("dump queue, index, checkpoint, config, timers", async () => {
    const before = state();
    const listed = journal.log.filter(({ topic, queueId }) => topic === "A" && queueId === 2);
    const { rows } = await mqstore("dump", "queue", dir, "A", "2", "--from", "1", "--body", "1");
    expect(rows).toHaveLength(listed.length - 1);
    expect(rows[0]).toMatchObject({ queueOffset: 1, logOffset: listed[1].logOffset, message: { topic: "A" } });
    expect((await mqstore("dump", "queue", dir, "A", "9")).err).toContain("no such queue");
    const index = (await mqstore("dump", "index", dir)).rows as { logOffset?: number }[];
    expect(index.some(({ logOffset }) => logOffset === listed[3].logOffset)).toBe(true);
    expect((await mqstore("dump", "checkpoint", dir)).rows).toMatchObject([{ ours: { queueUnits: 80 } }]);
    expect((await mqstore("dump", "config", dir)).rows).toMatchObject([
      { file: "consumerOffset.json", content: { offsetTable: { "A@G": { "0": 5 } } } },
    ]);
    expect((await mqstore("dump", "timers", dir)).rows).toEqual([]);
    const table = await mqstore("dump", "queue", dir, "A", "2", "--table", "--count", "2");
    expect(table.out.split("\n")).toHaveLength(4);
    expect(table.out).toMatch(/^queueOffset +logOffset +bytes +tagsCode\n0 /);
    expect((await mqstore("dump", "log", dir, "--from", "x")).status).toBe(3);
    expect(state()).toEqual(before);
  });

  it("rebuild: refuses while the lock is held, and makes the store sound", async () => {
    rmSync(join(dir, "consumequeue"), { recursive: true });
    expect((await mqstore("verify", dir)).status).toBe(1);
    const lock = nodeDisk.lock(join(dir, "lock"));
    const before = state();
    const refused = await mqstore("rebuild", dir);
    expect(refused.status).toBe(3);
    expect(refused.err).toContain("another broker runs on this store");
    expect(state()).toEqual(before);
    lock.release();
    const done = await mqstore("rebuild", dir);
    expect(done.status).toBe(0);
    expect(done.out).toContain("80 messages in 6 queues and the index");
    expect((await mqstore("verify", dir)).status).toBe(0);
    expect(readdirSync(dir).some((name) => name.startsWith("rebuild-backup-"))).toBe(true);
  });
});
