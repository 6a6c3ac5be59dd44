/** Our bytes against Apache's: apacheStore.json was written by the DefaultMessageStore of Apache RocketMQ 5.5.0. */
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { javaHashCode } from "../base/javaHash.ts";
import { silentLogger } from "../base/log.ts";
import { Turn } from "../base/turn.ts";
import { MessageDraft } from "../message/draft.ts";
import { PropertyScan } from "../message/propertyScan.ts";
import { RecordView } from "../message/record.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { SimDisk } from "../testing/simDisk.ts";
import golden from "./apacheStore.json" with { type: "json" };
import { Checkpoint } from "./checkpoint.ts";
import { ConsumeQueues } from "./consumeQueues.ts";
import { DirNames } from "./dirNames.ts";
import { FileCache } from "./fileCache.ts";
import { IndexService } from "./indexService.ts";
import { MessageStore } from "./messageStore.ts";
import { STORE_DEFAULTS } from "./options.ts";

const files = new Map(
  Object.entries(golden.files).map(([name, { bytes, hex }]) => {
    const buf = Buffer.alloc(bytes);
    buf.write(hex, "hex");
    return [name, buf];
  }),
);
const log = files.get("commitlog/00000000000000000000") as Buffer;

/** The messages of Apache's log. */
function records(): RecordView[] {
  const views: RecordView[] = [];
  for (let at = 0; ; ) {
    const view = new RecordView();
    if (view.read(log, at, log.length, true) !== "record") return views;
    views.push(view);
    at += view.totalBytes;
  }
}

function draftOf(view: RecordView): { draft: MessageDraft; scan: PropertyScan } {
  const draft = new MessageDraft();
  draft.queueId = view.queueId;
  draft.flag = view.flag;
  draft.sysFlag = view.sysFlag;
  draft.setHosts(view.bornHost(), view.storeHost());
  draft.bornTimestamp = view.bornTimestamp;
  draft.storeTimestamp = view.storeTimestamp;
  draft.reconsumeTimes = view.reconsumeTimes;
  draft.preparedTransactionOffset = view.preparedTransactionOffset;
  draft.topic = Buffer.from(view.topic());
  draft.body = view.body();
  draft.bodyEnd = view.bodyBytes;
  draft.properties = Buffer.from(view.properties());
  draft.propertiesEnd = draft.properties.length;
  const scan = new PropertyScan();
  scan.scan(draft.properties, 0, draft.propertiesEnd);
  return { draft, scan };
}

function tagsCode(draft: MessageDraft, scan: PropertyScan): number {
  return scan.tagsStart < 0 ? 0 : javaHashCode(draft.properties.toString("utf8", scan.tagsStart, scan.tagsEnd));
}

describe("a store that Apache 5.5.0 wrote", () => {
  it("has six records, among them IPv6 hosts and a topic longer than 127 bytes", () => {
    const views = records();
    expect(views.map((view) => view.bornHostBytes)).toEqual([8, 8, 20, 20, 8, 8]);
    expect(views.map((view) => view.storeHostBytes)).toEqual([8, 8, 8, 20, 20, 8]);
    expect(views[4].topicBytes).toBeGreaterThan(127);
    expect(views[2].bodyBytes).toBe(1);
  });

  it("has records whose bytes our encoder makes again", () => {
    for (const view of records()) {
      const { draft } = draftOf(view);
      expect(draft.totalBytes()).toBe(view.totalBytes);
      const out = Buffer.alloc(view.totalBytes + 4, 0xee);
      draft.encode(out, 2, view.totalBytes, view.queueOffset, view.logOffset);
      expect(out.subarray(2, -2)).toEqual(log.subarray(view.at, view.at + view.totalBytes));
      expect(out.subarray(-2)).toEqual(Buffer.from([0xee, 0xee]));
    }
  });

  it("has ConsumeQueue files whose bytes ours are", () => {
    const disk = new SimDisk();
    const cache = new FileCache(disk, 8);
    const queues = new ConsumeQueues(disk, cache, new DirNames(disk), "/consumequeue", 20 * 64);
    for (const view of records()) {
      const { draft, scan } = draftOf(view);
      const queue = queues.getOrCreate(view.topic(), view.queueId);
      queue.push(view.logOffset, view.totalBytes, tagsCode(draft, scan));
      queues.markDirty(queue);
    }
    queues.persist(100, () => {});
    const theirs = [...files.keys()].filter((name) => name.startsWith("consumequeue/"));
    expect(disk.files()).toEqual(theirs.map((name) => `/${name}`).sort());
    for (const name of theirs) expect(disk.bytes(`/${name}`)).toEqual(files.get(name));
  });

  it("has an IndexFile whose bytes ours is", () => {
    const disk = new SimDisk();
    const clock = new FakeClock();
    const index = new IndexService(disk, clock, silentLogger(), new DirNames(disk), "/index", 16, 64);
    for (const view of records()) {
      const { draft, scan } = draftOf(view);
      index.stage(draft, scan, javaHashCode(`${view.topic()}#`), view.logOffset);
      index.grant(view.logOffset + 1);
    }
    index.writeAll();
    const theirs = [...files.keys()].filter((name) => name.startsWith("index/"));
    expect(theirs).toHaveLength(1);
    expect(disk.files()).toHaveLength(1);
    expect(disk.bytes(disk.files()[0]).toString("hex")).toEqual(files.get(theirs[0])?.toString("hex"));
  });

  it("has a checkpoint that we read by Apache's fields", () => {
    const { bytes, hex, ...values } = golden.checkpoint;
    const theirs = Buffer.alloc(bytes);
    theirs.write(hex, "hex");
    const disk = new SimDisk();
    disk.plant("/checkpoint", theirs);
    expect(new Checkpoint(disk, "/checkpoint").read()).toEqual({ ...values, logicsOffset: 0, ours: undefined });
  });

  it("has a checkpoint layout that ours keeps where Apache reads", async () => {
    const { bytes, hex, ...values } = golden.checkpoint;
    const disk = new SimDisk();
    const ours = {
      dispatchedLogOffset: 5,
      firstLogOffset: 1,
      queueUnits: 2,
      queueFirstUnits: 3,
      indexEntries: 4,
      syncedLogOffset: 6,
    };
    await new Checkpoint(disk, "/checkpoint").write({ ...values, logicsOffset: 7, ours });
    const written = disk.bytes("/checkpoint");
    expect(written.length).toBe(bytes);
    expect(written.subarray(0, 40).toString("hex")).toBe(hex.padEnd(80, "0").slice(0, 80));
    expect(new Checkpoint(disk, "/checkpoint").read()).toEqual({ ...values, logicsOffset: 7, ours });
    for (let at = 2048; at < 2108; at++) {
      disk.damage("/checkpoint", at, Buffer.from([written[at] ^ 0x40]));
      expect(new Checkpoint(disk, "/checkpoint").read()).toBeUndefined();
      disk.damage("/checkpoint", at, written.subarray(at, at + 1));
    }
  });

  for (const clean of [true, false]) {
    it(`opens ${clean ? "after a clean stop" : "after a kill -9"} with every message, offset and key`, async () => {
      const disk = new SimDisk();
      for (const [name, bytes] of files) disk.plant(`/store/${name}`, bytes);
      if (!clean) disk.plant("/store/abort", Buffer.alloc(0));
      const clock = new FakeClock(records()[5].storeTimestamp + 1000);
      disk.now = () => clock.now();
      const store = new MessageStore({
        disk,
        clock,
        turn: new Turn(clock),
        log: silentLogger(),
        storeHost: records()[0].storeHost(),
        options: {
          ...STORE_DEFAULTS,
          storePathRootDir: "/store",
          mappedFileSizeCommitLog: 64 * 1024,
          mappedFileSizeConsumeQueue: 20 * 64,
          maxHashSlotNum: 16,
          maxIndexNum: 64,
          deleteWhen: "25",
        },
      });
      await store.start();
      const views = records();
      expect(store.maxOffset("alpha", 0)).toBe(4);
      expect(store.maxOffset("alpha", 1)).toBe(1);
      expect(store.maxLogOffset()).toBe(views[5].logOffset + views[5].totalBytes);
      for (const view of views) {
        const [unit] = await store.units(view.topic(), view.queueId, view.queueOffset, 1);
        expect(unit).toMatchObject({ logOffset: view.logOffset, bytes: view.totalBytes });
        const message = await store.messageAt(view.logOffset);
        expect(message?.body).toEqual(view.body());
        for (const key of [
          message?.properties.get("UNIQ_KEY"),
          ...(message?.properties.get("KEYS") ?? "").split(" "),
        ]) {
          if (!key) continue;
          const query = { topic: view.topic(), key, maxNum: 32, begin: 0, end: Number.MAX_SAFE_INTEGER };
          const found = await store.query(query);
          expect(found.messages.map((m) => m.logOffset)).toContain(view.logOffset);
        }
      }
      // A message that follows continues Apache's offsets.
      const next = store.put({ topic: "alpha", queueId: 0, body: Buffer.from("ours"), properties: new Map() });
      await clock.settle();
      expect(await next).toMatchObject({
        status: "ok",
        queueOffset: 4,
        logOffset: store.maxLogOffset() - (await next).bytes,
      });
    });
  }
});
