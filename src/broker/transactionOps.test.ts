import { describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import type { AppendResult, NewMessage } from "../store/types.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { DECIDED_TO, opOffsets, TransactionOps } from "./transactionOps.ts";

const OPTIONS = { transactionOpMsgMaxSize: 4096, transactionOpBatchInterval: 3000 };

function setUp() {
  const clock = new FakeClock();
  const puts: { message: NewMessage; answer: (status: AppendResult["status"]) => void }[] = [];
  let decidedTo = 100;
  const store = {
    put: (message: NewMessage) =>
      new Promise<AppendResult>((resolve) => {
        const answer = (status: AppendResult["status"]) =>
          resolve({ status, reason: "", logOffset: 0, queueOffset: 7, bytes: 1, storeTimestamp: 0 });
        puts.push({ message, answer });
      }),
  };
  const decisions = { isDecided: () => true, decidedTo: () => decidedTo };
  const ops = new TransactionOps(OPTIONS, store, clock, silentLogger(), decisions);
  const told = (i: number) => opOffsets(puts[i].message.body as Buffer);
  return { clock, puts, ops, told, moveTo: (to: number) => (decidedTo = to) };
}

describe("op messages", () => {
  it("tell nobody that all is told up to a place while those of an earlier one may be refused", async () => {
    const { clock, puts, ops, told, moveTo } = setUp();
    ops.add(1);
    const first = ops.flush();
    await clock.settle();
    expect(puts).toHaveLength(1);
    moveTo(200);
    const rolledBack = ops.addNow([2]);
    await clock.settle();
    // The first one is under way: the second waits for its answer.
    expect(puts).toHaveLength(1);
    puts[0].answer("notAvailable");
    await first;
    await clock.settle();
    expect(puts).toHaveLength(2);
    expect(told(1).sort()).toEqual([1, 2]);
    expect(puts[1].message.properties.get(DECIDED_TO)).toBe("200");
    puts[1].answer("ok");
    expect((await rolledBack).status).toBe("ok");
    expect(ops.waiting).toBe(0);
  });

  it("wait for others up to the interval, and are cut at the largest size", async () => {
    const { clock, puts, ops, told } = setUp();
    for (let offset = 0; offset < 3; offset++) ops.add(offset);
    await clock.advance(2_990);
    expect(puts).toHaveLength(0);
    await clock.advance(20);
    expect(told(0)).toEqual([0, 1, 2]);
    puts[0].answer("ok");
    for (let offset = 1_000; offset < 2_000; offset++) ops.add(offset);
    await clock.settle();
    expect(puts).toHaveLength(3);
    expect([...told(1), ...told(2)]).toHaveLength(1_000);
    // Only the last one of them can say that all is told.
    expect(puts[1].message.properties.get(DECIDED_TO)).toBe("0");
    expect(puts[2].message.properties.get(DECIDED_TO)).toBe("100");
  });
});
