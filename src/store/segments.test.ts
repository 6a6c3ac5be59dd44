import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SimDisk } from "../testing/simDisk.ts";
import { DirNames } from "./dirNames.ts";
import { FileCache } from "./fileCache.ts";
import { Segments } from "./segments.ts";

const FILE_BYTES = 64;

function make(disk = new SimDisk()): { disk: SimDisk; names: DirNames; segments: Segments } {
  disk.mkdir("/s");
  const names = new DirNames(disk);
  return { disk, names, segments: new Segments(disk, new FileCache(disk, 3), names, "/s/log", FILE_BYTES) };
}

function name(start: number): string {
  return `/s/log/${String(start).padStart(20, "0")}`;
}

describe("a run of files", () => {
  it("behaves like one long byte range, whatever the borders (model)", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ bytes: fc.uint8Array({ minLength: 1, maxLength: 150 }), cut: fc.option(fc.nat(60)) }), {
          maxLength: 8,
        }),
        (steps) => {
          const { segments } = make();
          let model = Buffer.alloc(0);
          for (const { bytes, cut } of steps) {
            segments.write(Buffer.from(bytes), 0, bytes.length, model.length);
            model = Buffer.concat([model, bytes]);
            if (cut !== null) {
              model = model.subarray(0, Math.max(0, model.length - cut));
              segments.cutAt(model.length);
            }
          }
          const back = Buffer.alloc(model.length + 1000, 0xff);
          const got = segments.read(back, 0, back.length, 0);
          expect(got).toBe(segments.endOffset);
          expect(back.subarray(0, model.length).equals(model)).toBe(true);
          expect(back.subarray(model.length, got).every((byte) => byte === 0)).toBe(true);
        },
      ),
    );
  });

  it("makes each file at its full size and finds all again", () => {
    const { disk, segments } = make();
    segments.write(Buffer.alloc(130, 7), 0, 130, 0);
    expect(disk.files()).toEqual([name(0), name(64), name(128)]);
    expect(disk.files().map((file) => disk.sizeOf(file))).toEqual([64, 64, 64]);
    const { segments: again } = make(disk);
    expect(again.load()).toEqual([]);
    expect([again.firstOffset, again.endOffset, again.count]).toEqual([0, 192, 3]);
  });

  it("can begin anywhere, and keeps the last file when the first ones are removed", () => {
    const { disk, segments } = make();
    segments.write(Buffer.from("x"), 0, 1, 700);
    segments.write(Buffer.from("y"), 0, 1, 710);
    expect(disk.files()).toEqual([name(640), name(704)]);
    expect(segments.removeFirst()).toBe(true);
    expect(segments.removeFirst()).toBe(false);
    expect([segments.firstOffset, segments.has(703), segments.has(704)]).toEqual([704, false, true]);
  });

  it("sets short files to their length and refuses long or misnamed ones", () => {
    const { disk, segments } = make();
    disk.plant(name(0), Buffer.alloc(10, 1));
    expect(segments.load()).toHaveLength(1);
    expect(disk.sizeOf(name(0))).toBe(64);
    disk.plant(name(64), Buffer.alloc(65));
    expect(() => make(disk).segments.load()).toThrow(/has 65 bytes/);
    disk.erase(name(64));
    disk.plant(name(70), Buffer.alloc(64));
    expect(() => make(disk).segments.load()).toThrow(/no multiple/);
  });

  it("changes no file when one of them is refused", () => {
    const disk = new SimDisk();
    disk.plant(name(0), Buffer.alloc(32));
    disk.plant(name(32), Buffer.alloc(32));
    expect(() => make(disk).segments.load()).toThrow(/no multiple of the configured file size 64/);
    expect([0, 32].map((start) => disk.sizeOf(name(start)))).toEqual([32, 32]);
  });

  it("keeps the run that is believed when files between are missing", () => {
    const { disk, segments } = make();
    for (const start of [0, 128, 192, 320]) disk.plant(name(start), Buffer.alloc(64, start));
    expect(segments.load((start) => start < 200)).not.toEqual([]);
    expect([...segments.starts]).toEqual([128, 192]);
    expect(segments.incomplete).toBe(true);
    expect(disk.exists(name(320))).toBe(false);
    expect(disk.exists(name(0))).toBe(true);
  });

  it("syncs only the files of the range, and none that was removed meanwhile", async () => {
    const { disk, segments } = make();
    segments.write(Buffer.alloc(256, 1), 0, 256, 0);
    disk.trace = [];
    const sync = segments.sync(70, 200);
    segments.removeFirst();
    segments.removeFirst();
    await sync;
    expect(disk.trace.filter((line) => line.startsWith("sync "))).toEqual([
      `sync ${name(64)}`,
      `sync ${name(128)}`,
      `sync ${name(192)}`,
    ]);
  });
});
