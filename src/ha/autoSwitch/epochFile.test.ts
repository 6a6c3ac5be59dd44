import { describe, expect, it } from "vitest";
import { silentLogger } from "../../base/log.ts";
import { MetadataFile } from "../../store/metadataFile.ts";
import { MemoryDisk } from "../../testing/memoryDisk.ts";
import { consistentPoint, decodeEpochs, EpochFile, encodeEpochs } from "./epochFile.ts";

const PATH = "/store/epochFileCheckpoint";

function epochs(disk = new MemoryDisk()): EpochFile {
  return new EpochFile(new MetadataFile(disk, PATH), silentLogger());
}

function of(text: string) {
  if (text === "") return [];
  return text.split(" ").map((entry) => {
    const [epoch, startOffset] = entry.split("@").map(Number);
    return { epoch, startOffset };
  });
}

describe("the epoch file", () => {
  it("is lines with their count and checksum", () => {
    const text = "3\n1307657801\n1-0\n2-245841\n3-1427119\n";
    expect(decodeEpochs(text)).toEqual(of("1@0 2@245841 3@1427119"));
    expect(encodeEpochs(of("1@0 2@245841 3@1427119"))).toBe(text);
  });

  it("is not believed when lines are missing or changed, and unchecked with checksum 0, as Apache's", () => {
    expect(() => decodeEpochs("3\n1307657801\n1-0\n2-245841\n")).toThrow("3 entries announced, 2 found");
    expect(() => decodeEpochs("2\n1307657801\n1-0\n2-245841\n")).toThrow("the checksum does not fit");
    expect(() => decodeEpochs("1\n0\n1-x\n")).toThrow("is no epoch");
    expect(decodeEpochs("1\n0\n1-7\n")).toEqual(of("1@7"));
  });

  it("survives a restart, and its last good state damage", async () => {
    const disk = new MemoryDisk();
    const file = epochs(disk);
    file.append({ epoch: 1, startOffset: 0 });
    await file.save();
    file.append({ epoch: 4, startOffset: 900 });
    await file.save();
    expect(epochs(disk).entries).toEqual(of("1@0 4@900"));
    const raw = disk.open(PATH);
    raw.write(Buffer.from("9"), 0, 1, 0);
    raw.close();
    expect(epochs(disk).entries).toEqual(of("1@0"));
  });

  it("takes only later epochs that begin later", () => {
    const file = epochs();
    expect(file.append({ epoch: 2, startOffset: 0 })).toBe(true);
    expect(file.append({ epoch: 2, startOffset: 10 })).toBe(false);
    expect(file.append({ epoch: 3, startOffset: 0 })).toBe(false);
    expect(file.append({ epoch: 3, startOffset: 10 })).toBe(true);
    expect([file.lastEpoch, file.lastStart]).toEqual([3, 10]);
  });

  it("says which epoch a byte belongs to", () => {
    const file = epochs();
    expect(file.spanAt(0)).toBeUndefined();
    file.append({ epoch: 1, startOffset: 100 });
    file.append({ epoch: 2, startOffset: 200 });
    const at = (offset: number) => file.spanAt(offset);
    expect(at(0)).toEqual({ epoch: 1, startOffset: 100, endOffset: 200 });
    expect(at(199)?.epoch).toBe(1);
    expect(at(200)).toEqual({ epoch: 2, startOffset: 200, endOffset: Number.POSITIVE_INFINITY });
  });

  it("is cut with the log at both ends", () => {
    const file = epochs();
    for (const entry of of("1@0 2@100 3@200")) file.append(entry);
    expect(file.cutBefore(99)).toBe(false);
    expect(file.cutBefore(100)).toBe(true);
    expect(file.entries).toEqual(of("2@100 3@200"));
    file.cutBehind(200);
    expect(file.entries).toEqual(of("2@100"));
    file.beginMine(2, 150);
    expect(file.entries).toEqual(of("2@150"));
  });
});

describe("the point up to which two logs are the same", () => {
  it.each([
    ["the same, the slave is behind", "1@0", 50, "1@0", 90, 50],
    ["the same, the slave has more", "1@0", 90, "1@0", 50, 50],
    ["a new master began where the old one's last message reached it", "1@0", 90, "1@0 2@70", 500, 70],
    ["the slave knows of the epoch and lacks bytes", "1@0 2@70", 100, "1@0 2@70", 500, 100],
    ["an epoch that only the slave had", "1@0 2@70", 100, "1@0 3@60", 500, 60],
    ["the slave saw nothing of the epoch before", "1@0 3@90", 100, "1@0 2@50 3@90", 500, 100],
    ["the same epoch at another place", "1@0 2@70", 100, "1@0 2@80", 500, 70],
    ["nothing in common", "5@0", 100, "1@0 2@70", 500, -1],
    ["a master without epochs", "5@0", 100, "", 500, -1],
  ])("%s", (_, ours, ourEnd, masters, masterEnd, expected) => {
    expect(consistentPoint(of(ours), ourEnd, of(masters), masterEnd)).toBe(expected);
  });
});
