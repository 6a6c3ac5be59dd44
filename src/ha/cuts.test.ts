/**
 * A link that is cut after each single byte, in either direction: whatever had arrived by then, replication goes on behind it,
 * nothing is doubled, nothing is lost, and nobody was told of a message that the slave did not have.
 */
import { describe, expect, it } from "vitest";
import { ReplicaPair } from "../testing/replicaPair.ts";
import type { Wire } from "../testing/wire.ts";

const SYNC = { brokerRole: "SYNC_MASTER", inSyncReplicas: 2, slaveTimeout: 60_000 };
/** Pieces in which messages end and begin; the last message, behind the cut, rolls to the log's second file. */
const BATCH = { haTransferBatchSize: 210 };
const FILE = { mappedFileSizeCommitLog: 1_024 };
const BODIES = [0, 90];
const LAST_BODY = 500;
/** What follows the cut: the slave connects again, is stopped and started, or is killed and started. */
const AFTERMATHS = ["reconnect", "restart", "kill"] as const;
type Aftermath = (typeof AFTERMATHS)[number];

/**
 * One life: messages over a first connection that is cut where `left` says, then another one.
 * @returns whether it was cut
 */
async function life(aftermath: Aftermath, left: Partial<Wire["left"]>, flushDiskType: string): Promise<boolean> {
  const pair = new ReplicaPair({ ...SYNC, ...FILE, flushDiskType }, BATCH, { ...FILE, flushDiskType });
  pair.cuts.push(left);
  await pair.start();
  const first = pair.wire as Wire;
  const sent = BODIES.map((bytes) => pair.send("A", bytes));
  await pair.flow(5);

  if (first.open) return false;
  const end = pair.slave.store.maxLogOffset();
  for (const one of sent) if (one.status !== undefined) expect(one.logOffset + one.bytes).toBeLessThanOrEqual(end);
  expect(pair.master.store.maxOffset("A", 0)).toBeLessThanOrEqual(pair.slave.store.maxOffset("A", 0));

  if (aftermath === "reconnect") await pair.reconnect();
  else await pair.restartSlave(aftermath === "kill");
  await pair.flow(7);
  sent.push(pair.send("A", LAST_BODY));
  await pair.flow();
  expect(sent.map(({ status }) => status)).toEqual(sent.map(() => "ok"));
  expect(sent.map(({ queueOffset }) => queueOffset)).toEqual(sent.map((_, i) => i));
  pair.expectSame();
  expect(pair.slave.store.maxOffset("A", 0)).toBe(sent.length);
  expect(await pair.slave.store.units("A", 0, 0, 100)).toEqual(await pair.master.store.units("A", 0, 0, 100));
  expect(pair.slave.fatal).toEqual([]);
  return true;
}

/** Enough for all that passes. */
const PLENTY = 1_000_000;

describe.each([
  ["ASYNC_FLUSH", "toSlave", 1],
  ["ASYNC_FLUSH", "toMaster", 1],
  // The same pieces; what differs is when they are reported.
  ["SYNC_FLUSH", "toSlave", 7],
  ["SYNC_FLUSH", "toMaster", 1],
] as const)("a link of two brokers with %s", (flushDiskType, direction, step) => {
  it(`is cut in what goes ${direction}, at every ${step === 1 ? "byte" : `${step}th byte`}`, async () => {
    const left = { bytes: PLENTY };
    expect(await life("reconnect", { [direction]: left }, flushDiskType)).toBe(false);
    const total = PLENTY - left.bytes;
    // Two pieces of messages, or the first report and those about them: the test is about what it says.
    expect(total).toBeGreaterThanOrEqual(direction === "toSlave" ? 2 * 12 + 300 : 2 * 8);
    for (let bytes = 0; bytes <= total; bytes += step) {
      const aftermath = AFTERMATHS[(bytes / step) % AFTERMATHS.length];
      expect(await life(aftermath, { [direction]: { bytes } }, flushDiskType), `cut after ${bytes}`).toBe(true);
    }
  });
});
