/** Damage that no crash makes: derived files are rebuilt without an operator, the log is fenced to the damaged record. */
import { Buffer } from "node:buffer";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { SimDisk } from "../testing/simDisk.ts";
import { SimDisk as Disk } from "../testing/simDisk.ts";
import { COMMIT_LOG, Journal, ROOT, type Sent, SimStore, SMALL } from "../testing/simStore.ts";
import { wireBroker } from "../testing/wireBroker.ts";

const ALL = { acked: "all", syncedTo: 0, trimmedTo: 0 } as const;

interface Past {
  disk: SimDisk;
  journal: Journal;
  now: number;
}

/** A store with a checkpoint in its middle, closed or killed. */
async function past(how: "closed" | "killed"): Promise<Past> {
  const sim = new SimStore(new Disk(), new Journal(), SMALL);
  await sim.store.start();
  for (let i = 0; i < 60; i++) sim.send("AB"[i % 2], i % 3, 20 * i, { tag: i % 5 === 0 ? "red" : "" });
  await sim.advance(11_000);
  for (let i = 0; i < 10; i++) sim.send("A", i % 3, 300);
  await sim.settle();
  if (how === "closed") await sim.close();
  return { disk: how === "closed" ? sim.disk : sim.disk.killed(0), journal: sim.journal, now: sim.clock.now() };
}

function reopened({ disk, journal, now }: Past, logged?: string[]): SimStore {
  const copy = new Journal();
  copy.continueAfter(journal);
  const log = pino({ level: "warn" }, { write: (line: string) => logged?.push(line) });
  return new SimStore(disk, copy, SMALL, now, log);
}

const indexFile = (disk: SimDisk) => disk.files().find((file) => file.startsWith(`${ROOT}/index/`)) as string;
const newestIndexFile = (disk: SimDisk) => disk.files().findLast((file) => file.startsWith(`${ROOT}/index/`)) as string;

const DERIVED: [string, (disk: SimDisk) => void][] = [
  ["all ConsumeQueues removed", (disk) => disk.erase(`${ROOT}/consumequeue`)],
  ["one topic's ConsumeQueues removed", (disk) => disk.erase(`${ROOT}/consumequeue/B`)],
  ["one ConsumeQueue removed", (disk) => disk.erase(`${ROOT}/consumequeue/A/1`)],
  ["a ConsumeQueue file cut to half", (disk) => disk.cut(`${ROOT}/consumequeue/A/0/00000000000000000000`, 100)],
  ["a ConsumeQueue file cut inside a unit", (disk) => disk.cut(`${ROOT}/consumequeue/A/0/00000000000000000000`, 77)],
  ["a ConsumeQueue file emptied", (disk) => disk.cut(`${ROOT}/consumequeue/A/0/00000000000000000000`, 0)],
  [
    "the end of a ConsumeQueue zeroed",
    (disk) => disk.damage(`${ROOT}/consumequeue/B/1/00000000000000000000`, 120, Buffer.alloc(200)),
  ],
  ["the index removed", (disk) => disk.erase(`${ROOT}/index`)],
  ["the oldest index file removed", (disk) => disk.erase(indexFile(disk))],
  ["the newest index file removed", (disk) => disk.erase(newestIndexFile(disk))],
  ["an index file cut", (disk) => disk.cut(indexFile(disk), 400)],
  ["an index file emptied", (disk) => disk.cut(newestIndexFile(disk), 0)],
  ["an index file's header zeroed", (disk) => disk.damage(indexFile(disk), 0, Buffer.alloc(40))],
  ["an index file's header overwritten", (disk) => disk.damage(indexFile(disk), 0, Buffer.alloc(40, 0x5a))],
  ["the checkpoint removed", (disk) => disk.erase(`${ROOT}/checkpoint`)],
  ["the checkpoint emptied", (disk) => disk.cut(`${ROOT}/checkpoint`, 0)],
  ["the checkpoint cut", (disk) => disk.cut(`${ROOT}/checkpoint`, 2090)],
  ["the checkpoint overwritten", (disk) => disk.damage(`${ROOT}/checkpoint`, 0, Buffer.alloc(4096, 0x7f))],
  [
    "everything but the log removed",
    (disk) => {
      for (const name of ["consumequeue", "index", "checkpoint"]) disk.erase(`${ROOT}/${name}`);
    },
  ],
];

for (const how of ["closed", "killed"] as const) {
  describe(`derived files of a ${how} store`, () => {
    for (const [name, damage] of DERIVED) {
      it(`${name}: every message, offset and key is there again`, async () => {
        const before = await past(how);
        damage(before.disk);
        const sim = reopened(before);
        await sim.open(ALL);
        expect(sim.journal.log.length).toBe(70);
        const next = sim.send("A", 0, 10);
        await sim.close();
        expect(next.status).toBe("ok");
        // What was rebuilt is whole on disk, too.
        await new SimStore(sim.disk, sim.journal, SMALL, sim.clock.now()).open(ALL);
      });
    }
  });
}

describe("damage in the log below the checkpoint", () => {
  const kinds: [string, (disk: SimDisk, file: string, at: number, sent: Sent) => void][] = [
    ["in the body", (disk, file, at, sent) => disk.damage(file, at + sent.bytes - 90, Buffer.alloc(30, 0xf9))],
    ["in the length", (disk, file, at) => disk.damage(file, at, Buffer.from([0x00, 0x00, 0x7f, 0xff]))],
    ["in the magic", (disk, file, at) => disk.damage(file, at + 4, Buffer.alloc(4))],
    ["a record of zeros", (disk, file, at, sent) => disk.damage(file, at, Buffer.alloc(sent.bytes))],
    ["in the topic", (disk, file, at, sent) => disk.damage(file, at + topicAt(sent), Buffer.from("/"))],
  ];
  for (const [name, damage] of kinds) {
    it(`${name}: costs that record alone, even when everything is rebuilt, and is logged`, async () => {
      const before = await past("killed");
      const victim = before.journal.log[25];
      const start = victim.logOffset - (victim.logOffset % SMALL.mappedFileSizeCommitLog);
      const file = `${COMMIT_LOG}/${String(start).padStart(20, "0")}`;
      damage(before.disk, file, victim.logOffset - start, victim);
      before.disk.erase(`${ROOT}/consumequeue`);
      const logged: string[] = [];
      const { store } = reopened(before, logged);
      await store.start();
      expect(logged.some((line) => line.includes("fenced") && line.includes(String(victim.logOffset)))).toBe(true);
      expect(await store.messageAt(victim.logOffset)).toBeUndefined();
      for (const sent of before.journal.log) {
        if (sent === victim) continue;
        const [unit] = await store.units(sent.topic, sent.queueId, sent.queueOffset, 1);
        expect(unit.logOffset, `message ${sent.id}`).toBe(sent.logOffset);
        expect((await store.messageAt(sent.logOffset))?.properties.get("UNIQ_KEY")).toBe(`U${sent.id}`);
      }
    });
  }

  it("costs nothing else when nothing must be rebuilt", async () => {
    const before = await past("killed");
    const victim = before.journal.log[10];
    before.disk.damage(`${COMMIT_LOG}/00000000000000000000`, victim.logOffset + 120, Buffer.from([1, 2, 3]));
    const { store } = reopened(before);
    await store.start();
    expect(await store.messageAt(victim.logOffset)).toBeUndefined();
    for (const sent of before.journal.log) {
      if (sent !== victim) expect(await store.messageAt(sent.logOffset), `message ${sent.id}`).toBeDefined();
    }
  });
});

/** Where a record's topic begins: IPv4 hosts, one byte of length. */
function topicAt(sent: Sent): number {
  return 48 + 8 + 8 + 8 + 4 + 8 + 4 + sent.body.length + 1;
}

describe("queues that are all rebuilt", () => {
  it("are those of the topics that the broker has: a deleted one does not come back", async () => {
    const broker = await wireBroker();
    const put = async (topic: string, body: string) => {
      const done = broker.store.put({
        topic,
        queueId: 0,
        body: Buffer.from(body),
        properties: new Map([["KEYS", body]]),
      });
      await broker.clock.settle();
      return done;
    };
    for (const topic of ["Kept", "Gone", "Again"]) {
      broker.topics.createIfAbsent(newTopicConfig(topic, { readQueueNums: 1, writeQueueNums: 1, perm: 6 }));
      await put(topic, `${topic} 1`);
    }
    const client = broker.client();
    for (const topic of ["Gone", "Again"]) {
      expect((await client.ask("DELETE_TOPIC_IN_BROKER", { topic })).code).toBe(0);
    }
    broker.topics.createIfAbsent(newTopicConfig("Again", { readQueueNums: 1, writeQueueNums: 1, perm: 6 }));
    await put("Again", "Again 2");
    const { disk, clock } = broker;
    await broker.close();
    disk.erase(`${ROOT}/consumequeue/Kept`);
    const after = await wireBroker({}, disk, clock.now() + 1_000);
    expect(after.store.topics()).toContain("Kept");
    expect(after.store.topics()).not.toContain("Gone");
    expect(after.store.maxOffset("Kept", 0)).toBe(1);
    const [unit, ...more] = await after.store.units("Again", 0, 0, 10);
    expect(more).toEqual([]);
    expect((await after.store.messageAt(unit.logOffset))?.body.toString()).toBe("Again 2");
    await after.close();
  });
});
