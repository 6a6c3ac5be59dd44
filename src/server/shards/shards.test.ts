import { describe, expect, it } from "vitest";
import { collectingLogger, type LogLine } from "../../base/log.ts";
import { FakeClock } from "../../testing/fakeClock.ts";
import type { ShardEvents, ShardOrder } from "./processes.ts";
import { RESTART_MAX_MS, Shards, STEADY_MS, STOP_LIMIT_MS } from "./shards.ts";

/** Processes that do what a test says. */
class FakeProcess {
  readonly order: ShardOrder;
  readonly events: ShardEvents;
  readonly pid: number;
  readonly asked: string[] = [];
  /** Status with which it answers the request to stop; undefined: not at all. */
  stopsWith: number | undefined = 0;

  constructor(order: ShardOrder, events: ShardEvents, pid: number) {
    this.order = order;
    this.events = events;
    this.pid = pid;
  }

  terminate(): void {
    this.asked.push("terminate");
    if (this.stopsWith !== undefined) this.events.ended({ code: this.stopsWith, signal: null });
  }

  kill(): void {
    this.asked.push("kill");
    this.events.ended({ code: null, signal: "SIGKILL" });
  }

  ready(): void {
    this.events.word({ kind: "ready", address: `127.0.0.1:${this.order.name}` });
  }

  dies(): void {
    this.events.ended({ code: null, signal: "SIGKILL" });
  }
}

function supervisor(names = ["a-0", "a-1"]) {
  const clock = new FakeClock();
  const lines: LogLine[] = [];
  const processes: FakeProcess[] = [];
  const state = { noneLeft: 0 };
  const shards = new Shards({
    names,
    order: (index) => ({ name: names[index], entries: new Map(), bind: "127.0.0.1", topics: [], console: undefined }),
    startShard: (order, events) => {
      const process = new FakeProcess(order, events, 100 + processes.length);
      processes.push(process);
      return process;
    },
    clock,
    log: collectingLogger((line) => lines.push(line)),
    onNoneLeft: () => state.noneLeft++,
  });
  return { clock, lines, processes, state, shards, said: () => lines.map(({ msg }) => msg) };
}

/** All shards ready. */
async function running(names?: string[]) {
  const all = supervisor(names);
  const started = all.shards.start();
  for (const process of all.processes) process.ready();
  await started;
  return all;
}

describe("the keeper of shards", () => {
  it("starts all at once, is ready when all are, and stops all at once", async () => {
    const { shards, processes, clock } = supervisor();
    let addresses: string[] | undefined;
    void shards.start().then((all) => {
      addresses = all;
    });
    expect(processes.map(({ order }) => order.name)).toEqual(["a-0", "a-1"]);
    processes[1].ready();
    await clock.settle();
    expect(addresses).toBeUndefined();
    processes[0].ready();
    await clock.settle();
    expect(addresses).toEqual(["127.0.0.1:a-0", "127.0.0.1:a-1"]);
    expect(await shards.stop()).toBe(true);
    expect(processes.map(({ asked }) => asked)).toEqual([["terminate"], ["terminate"]]);
    expect(clock.timers).toBe(0);
  });

  it("starts one that died again after a second, and leaves the others alone", async () => {
    const { shards, processes, clock, said } = await running();
    processes[1].dies();
    expect(said()).toContain("a-1 (pid 101) was ended by SIGKILL; it is started again in 1 s, the other shards go on");
    await clock.advance(999);
    expect(processes).toHaveLength(2);
    await clock.advance(1);
    expect(processes.map(({ order }) => order.name)).toEqual(["a-0", "a-1", "a-1"]);
    processes[2].ready();
    expect(said().at(-1)).toBe("a-1 is back (pid 102, 127.0.0.1:a-1)");
    expect(processes[0].asked).toEqual([]);
    expect(await shards.stop()).toBe(true);
  });

  it("waits longer and longer for one that dies again and again, until it has run for a minute", async () => {
    const { processes, clock, said } = await running();
    const delays: string[] = [];
    for (let death = 0; death < 7; death++) {
      processes.at(-1)?.events.word({ kind: "failed", problems: ["no room"] });
      processes.at(-1)?.events.ended({ code: 1, signal: null });
      delays.push(/\(no room\); it is started again in (\d+ s)/.exec(said().at(-1) ?? "")?.[1] ?? "not");
      await clock.advance(RESTART_MAX_MS);
    }
    expect(delays).toEqual(["1 s", "2 s", "4 s", "8 s", "16 s", "30 s", "30 s"]);
    processes.at(-1)?.ready();
    await clock.advance(STEADY_MS);
    processes.at(-1)?.dies();
    expect(said().at(-1)).toContain("was ended by SIGKILL; it is started again in 1 s");
  });

  it("starts one again that was stopped by somebody else", async () => {
    const { processes, clock, said } = await running();
    processes[0].events.ended({ code: 0, signal: null });
    expect(said().at(-1)).toContain("a-0 (pid 100) ended with status 0; it is started again in 1 s");
    await clock.advance(1_000);
    expect(processes).toHaveLength(3);
  });

  it("does not start one again whose store failed, and says when none is left", async () => {
    const { shards, processes, clock, state, said } = await running();
    processes[0].events.word({ kind: "fatal", reason: "the sync failed" });
    processes[0].events.ended({ code: 1, signal: null });
    expect(said().at(-1)).toContain("a-0 (pid 100) is not started again, its store failed: the sync failed");
    await clock.advance(10 * RESTART_MAX_MS);
    expect(processes).toHaveLength(2);
    expect(state.noneLeft).toBe(0);
    processes[1].events.word({ kind: "fatal", reason: "the sync failed" });
    processes[1].events.ended({ code: 1, signal: null });
    expect(state.noneLeft).toBe(1);
    expect(await shards.stop()).toBe(false);
  });

  it("starts nothing when one cannot start: the others are stopped, the reason is told", async () => {
    const { shards, processes, clock } = supervisor();
    const started = shards.start();
    processes[0].ready();
    processes[1].events.word({ kind: "failed", problems: ["cannot listen on 127.0.0.1:1", "and no disk"] });
    processes[1].events.ended({ code: 1, signal: null });
    await expect(started).rejects.toThrow("a-1: cannot listen on 127.0.0.1:1\na-1: and no disk");
    expect(processes.map(({ asked }) => asked)).toEqual([["terminate"], []]);
    expect(clock.timers).toBe(0);
  });

  it("says so when one of them did not end in order, or was waiting for its next start", async () => {
    const bad = await running();
    bad.processes[1].stopsWith = 1;
    expect(await bad.shards.stop()).toBe(false);
    const waiting = await running();
    waiting.processes[1].dies();
    expect(await waiting.shards.stop()).toBe(false);
    await waiting.clock.advance(10 * RESTART_MAX_MS);
    expect(waiting.processes).toHaveLength(2);
  });

  it("kills one that does not stop", async () => {
    const { shards, processes, clock, said } = await running();
    processes[0].stopsWith = undefined;
    const stopped = shards.stop();
    await clock.advance(STOP_LIMIT_MS - 1);
    expect(processes[0].asked).toEqual(["terminate"]);
    await clock.advance(1);
    expect(processes[0].asked).toEqual(["terminate", "kill"]);
    expect(await stopped).toBe(false);
    expect(said()).toContain("a-0 (pid 100) has not stopped within 60 s: it is killed");
  });

  it("is stopped while it starts: what was starting ends as it is asked, once", async () => {
    const { shards, processes, clock } = supervisor();
    const started = shards.start().catch((error: Error) => error.message);
    const stopped = shards.stop();
    expect(await stopped).toBe(true);
    expect(await started).toBe("a-0 was stopped while it started");
    await clock.advance(10 * RESTART_MAX_MS);
    expect(processes).toHaveLength(2);
    expect(processes.map(({ asked }) => asked)).toEqual([["terminate"], ["terminate"]]);
  });
});
