/** What `mqstore verify` says of stores that our own code wrote, whole and with each kind of damage; it never changes one. */
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SimDisk } from "../testing/simDisk.ts";
import { COMMIT_LOG, Journal, ROOT, type Sent, SimStore, SMALL } from "../testing/simStore.ts";
import { readLayout } from "./layout.ts";
import { EXIT_DAMAGED, EXIT_REPAIRED_AT_START, EXIT_SOUND, type Verdict, verifyStore } from "./verify.ts";

interface Past {
  disk: SimDisk;
  journal: Journal;
  now: number;
}

/** A store with a checkpoint in its middle and several files of each kind, closed or killed. */
async function past(how: "closed" | "killed"): Promise<Past> {
  const sim = new SimStore(new SimDisk(), new Journal(), SMALL);
  await sim.store.start();
  for (let i = 0; i < 60; i++) sim.send("AB"[i % 2], i % 3, 20 * i, { tag: i % 5 === 0 ? "red" : "" });
  await sim.advance(11_000);
  for (let i = 0; i < 10; i++) sim.send("A", i % 3, 3000);
  await sim.settle();
  if (how === "closed") await sim.close();
  return { disk: how === "closed" ? sim.disk : sim.disk.killed(0), journal: sim.journal, now: sim.clock.now() };
}

function contents(disk: SimDisk): Map<string, string> {
  return new Map(disk.files().map((file) => [file, disk.bytes(file).toString("latin1")]));
}

async function verify({ disk, journal, now }: Past): Promise<Verdict> {
  const before = contents(disk);
  const { clock } = new SimStore(disk, journal, SMALL, now);
  const verdict = await verifyStore(disk, clock, readLayout(disk, ROOT, undefined), false);
  expect(contents(disk)).toEqual(before);
  return verdict;
}

/** Opens the store for good: the start must find what the verdict promised. */
async function start({ disk, journal, now }: Past): Promise<SimStore> {
  const copy = new Journal();
  copy.continueAfter(journal);
  const sim = new SimStore(disk, copy, SMALL, now);
  await sim.store.start();
  return sim;
}

/** What is wrong; the notes (a store without a broker has no topics.json) are not. */
const faults = ({ findings }: Verdict) => findings.filter(({ weight }) => weight !== "note");
const kinds = (verdict: Verdict): string[] => [...new Set(faults(verdict).map(({ area, kind }) => `${area}: ${kind}`))];
const logFile = (sent: Sent): string => {
  const start = sent.logOffset - (sent.logOffset % SMALL.mappedFileSizeCommitLog);
  return `${COMMIT_LOG}/${String(start).padStart(20, "0")}`;
};
const inFile = (sent: Sent): number => sent.logOffset % SMALL.mappedFileSizeCommitLog;
const indexFile = (disk: SimDisk) => disk.files().find((file) => file.startsWith(`${ROOT}/index/`)) as string;
const queueFile = (topic: string, queueId: number) => `${ROOT}/consumequeue/${topic}/${queueId}/00000000000000000000`;

describe("a store that was closed", () => {
  it("is sound, and its sizes are read off its files", async () => {
    const store = await past("closed");
    const { disk } = store;
    const layout = readLayout(disk, ROOT, undefined);
    expect(layout.options).toMatchObject({
      mappedFileSizeCommitLog: SMALL.mappedFileSizeCommitLog,
      mappedFileSizeConsumeQueue: SMALL.mappedFileSizeConsumeQueue,
      maxHashSlotNum: SMALL.maxHashSlotNum,
      maxIndexNum: SMALL.maxIndexNum,
    });
    const verdict = await verify(store);
    expect(faults(verdict)).toEqual([]);
    expect(verdict.status).toBe(EXIT_SOUND);
    expect(verdict.facts).toMatchObject({ messages: 70, unitsOfMessagesInLog: 70, stopped: "in order" });
  });

  it("is sound whatever was done with it", { timeout: 60_000 }, async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("send" as const),
        topic: fc.constantFrom("A", "B", "C"),
        queueId: fc.nat(2),
        bytes: fc.nat(3000),
        tag: fc.constantFrom("", "red", "blue"),
      }),
      fc.record({ kind: fc.constant("batch" as const), bodies: fc.array(fc.nat(500), { minLength: 1, maxLength: 6 }) }),
      fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(12_000) }),
      fc.record({ kind: fc.constant("delete" as const), topic: fc.constantFrom("A", "B") }),
      fc.record({ kind: fc.constant("restart" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        let sim = new SimStore(new SimDisk(), new Journal(), SMALL);
        await sim.store.start();
        for (const one of steps) {
          if (one.kind === "send") sim.send(one.topic, one.queueId, one.bytes, { tag: one.tag });
          else if (one.kind === "batch") {
            await sim.settle();
            sim.sendBatch("C", 0, one.bodies);
          } else if (one.kind === "wait") await sim.advance(one.ms);
          else if (one.kind === "delete") {
            await sim.settle();
            sim.deleteTopic(one.topic);
            await sim.settle();
          } else {
            await sim.close();
            sim = new SimStore(sim.disk, sim.journal, SMALL, sim.clock.now());
            await sim.store.start();
          }
        }
        await sim.settle();
        await sim.close();
        const verdict = await verifyStore(sim.disk, sim.clock, readLayout(sim.disk, ROOT, undefined), false);
        expect(faults(verdict)).toEqual([]);
        expect(verdict.status).toBe(EXIT_SOUND);
      }),
      { numRuns: 60 },
    );
  });
});

it("a store that was killed is repaired by a start, and the verdict says so", async () => {
  const store = await past("killed");
  const verdict = await verify(store);
  expect(verdict.status).toBe(EXIT_REPAIRED_AT_START);
  expect(verdict.facts).toMatchObject({ messages: 70, stopped: "not in order (abort is there)" });
  expect(verdict.atStart.some((line) => line.startsWith("store recovered"))).toBe(true);
  const sim = await start(store);
  await sim.close();
  expect((await verify({ ...store, disk: sim.disk })).status).toBe(EXIT_SOUND);
});

const MENDED: [string, string, (disk: SimDisk) => void][] = [
  ["all queues removed", "queues: missing queue", (disk) => disk.erase(`${ROOT}/consumequeue`)],
  ["one queue removed", "queues: missing queue", (disk) => disk.erase(`${ROOT}/consumequeue/A/1`)],
  ["a queue's end zeroed", "queues: missing units", (disk) => disk.damage(queueFile("B", 1), 120, Buffer.alloc(200))],
  ["an index file removed", "index: missing entries", (disk) => disk.erase(indexFile(disk))],
  ["an index header zeroed", "index: missing entries", (disk) => disk.damage(indexFile(disk), 0, Buffer.alloc(40))],
  ["an index file cut", "index: file size", (disk) => disk.cut(indexFile(disk), 400)],
  ["the checkpoint removed", "checkpoint: missing", (disk) => disk.erase(`${ROOT}/checkpoint`)],
  [
    "the checkpoint damaged",
    "checkpoint: damaged",
    (disk) => disk.damage(`${ROOT}/checkpoint`, 2060, Buffer.from([7])),
  ],
];

describe("damage that a start mends", () => {
  for (const [name, kind, damage] of MENDED) {
    it(name, async () => {
      const store = await past("closed");
      damage(store.disk);
      const verdict = await verify(store);
      expect(kinds(verdict)).toContain(kind);
      expect(verdict.status).toBe(EXIT_REPAIRED_AT_START);
      const sim = await start(store);
      await sim.close();
      expect((await verify({ ...store, disk: sim.disk })).status).toBe(EXIT_SOUND);
    });
  }
});

describe("damage that no start mends", () => {
  it("a byte of a body: that message is lost, and told with its place", async () => {
    const store = await past("closed");
    const victim = store.journal.log[25];
    const at = inFile(victim) + victim.bytes - 90;
    const byte = store.disk.bytes(logFile(victim))[at];
    store.disk.damage(logFile(victim), at, Buffer.from([byte ^ 1]));
    const verdict = await verify(store);
    expect(verdict.status).toBe(EXIT_DAMAGED);
    expect(kinds(verdict)).toContain("log: damaged record");
    const [found] = verdict.findings.filter(({ kind }) => kind === "damaged record");
    expect(found.text).toContain(`log offset ${victim.logOffset} `);
    expect(found.text).toContain("CRC");
    expect(found.where).toBe(logFile(victim));
    expect(verdict.facts.messages).toBe(69);
  });

  it("a file of the log is missing", async () => {
    const store = await past("closed");
    const file = `${COMMIT_LOG}/${String(SMALL.mappedFileSizeCommitLog).padStart(20, "0")}`;
    store.disk.erase(file);
    const verdict = await verify(store);
    expect(verdict.status).toBe(EXIT_DAMAGED);
    const [found] = verdict.findings.filter(({ kind }) => kind === "missing files");
    expect(found.text).toContain(`between ${SMALL.mappedFileSizeCommitLog} and ${2 * SMALL.mappedFileSizeCommitLog}`);
  });

  it("the newest file of the log is missing", async () => {
    const store = await past("closed");
    store.disk.erase(logFile(store.journal.log[69]));
    const verdict = await verify(store);
    expect(verdict.status).toBe(EXIT_DAMAGED);
    expect(kinds(verdict)).toContain("checkpoint: ahead of the log");
  });

  it("a unit points elsewhere", async () => {
    const store = await past("closed");
    const [first, second] = store.journal.log.filter(({ topic, queueId }) => topic === "A" && queueId === 0);
    const file = queueFile("A", 0);
    store.disk.damage(file, 0, store.disk.bytes(file).subarray(20, 40));
    const verdict = await verify(store);
    expect(verdict.status).toBe(EXIT_DAMAGED);
    const [found] = verdict.findings.filter(({ kind }) => kind === "wrong unit");
    expect(found.text).toContain(`unit 0 is log offset ${second.logOffset}`);
    expect(found.text).toContain(`log offset ${first.logOffset}`);
  });

  it("a unit has another tag", async () => {
    const store = await past("closed");
    store.disk.damage(queueFile("A", 0), 12, Buffer.from([1]));
    const verdict = await verify(store);
    expect(verdict.status).toBe(EXIT_DAMAGED);
    expect(faults(verdict)[0].text).toContain("tag code");
  });

  it("a hash chain of a full index file is broken", async () => {
    const store = await past("closed");
    const file = indexFile(store.disk);
    const at = 40 + SMALL.maxHashSlotNum * 4 + 50 * 20 + 16;
    store.disk.damage(file, at, Buffer.from([0, 0, 0, 0]));
    const verdict = await verify(store);
    expect(kinds(verdict)).toEqual(["index: broken chain"]);
    expect(verdict.status).toBe(EXIT_DAMAGED);
    expect(faults(verdict)[0]).toMatchObject({ where: file });
    expect(faults(verdict)[0].text).toMatch(/^entry 50 is chained to 0/);
  });

  it("an entry names another message's place", async () => {
    const store = await past("closed");
    const at = 40 + SMALL.maxHashSlotNum * 4 + 30 * 20 + 4;
    store.disk.damage(indexFile(store.disk), at + 7, Buffer.from([1]));
    const verdict = await verify(store);
    expect(kinds(verdict)).toContain("index: wrong entry");
    expect(verdict.status).toBe(EXIT_DAMAGED);
  });
});

describe("the end of the log", () => {
  const tail = async (): Promise<[Past, Sent]> => {
    const store = await past("killed");
    return [store, store.journal.log[store.journal.log.length - 1]];
  };

  it("torn: the start cuts it, and loses nothing else", async () => {
    const [store, last] = await tail();
    store.disk.damage(logFile(last), inFile(last) + last.bytes - 40, Buffer.alloc(40));
    const verdict = await verify(store);
    expect(kinds(verdict)).toContain("log: torn tail");
    expect(verdict.status).toBe(EXIT_REPAIRED_AT_START);
    expect(verdict.atStart.some((line) => line.includes(`end ${last.logOffset}`))).toBe(true);
    const sim = await start(store);
    expect(sim.store.maxLogOffset()).toBe(last.logOffset);
  });

  it("damaged before good messages that the start cuts off: they are counted", async () => {
    const [store] = await tail();
    const victim = store.journal.log[65];
    store.disk.damage(logFile(victim), inFile(victim) + 100, Buffer.from([1, 2, 3]));
    const verdict = await verify(store);
    expect(verdict.status).toBe(EXIT_DAMAGED);
    const [cut] = verdict.findings.filter(({ kind }) => kind === "cut");
    expect(cut.text).toBe(`4 messages behind log offset ${victim.logOffset} are cut off by the next start`);
    const sim = await start(store);
    expect(sim.store.maxLogOffset()).toBe(victim.logOffset);
  });
});

describe("small files", () => {
  const with_ = async (files: Record<string, string>): Promise<Verdict> => {
    const store = await past("closed");
    for (const [name, text] of Object.entries(files)) store.disk.plant(`${ROOT}/config/${name}`, Buffer.from(text));
    return verify(store);
  };

  it("one that does not parse, with a .bak: a start takes that", async () => {
    const verdict = await with_({
      "consumerOffset.json": `{"offsetTable":{"A@G":{0:5`,
      "consumerOffset.json.bak": `{"offsetTable":{"A@G":{0:5}}}`,
    });
    expect(kinds(verdict)).toEqual(["config: unreadable"]);
    expect(verdict.status).toBe(EXIT_REPAIRED_AT_START);
    expect(verdict.facts.consumerOffsets).toBe(1);
  });

  it("one that does not parse, without one: it is lost", async () => {
    const verdict = await with_({ "delayOffset.json": "{" });
    expect(verdict.status).toBe(EXIT_DAMAGED);
    expect(verdict.findings.filter(({ weight }) => weight === "lost")[0].text).toContain("delayOffset.json");
  });

  it("progress behind a queue's end", async () => {
    const verdict = await with_({ "consumerOffset.json": `{"offsetTable":{"A@G":{0:5,1:500000}}}` });
    const [found] = verdict.findings.filter(({ kind }) => kind === "progress ahead");
    expect(found.text).toContain("G has consumed A-1 up to 500000");
    expect(verdict.status).toBe(EXIT_REPAIRED_AT_START);
  });
});

it("what Apache keeps in RocksDB cannot be taken over, and is said", async () => {
  const store = await past("closed");
  store.disk.plant(`${ROOT}/consumequeue_rocksdb/CURRENT`, Buffer.from("x"));
  const verdict = await verify(store);
  expect(verdict.status).toBe(EXIT_DAMAGED);
  expect(kinds(verdict)).toContain("directory: RocksDB");
});
