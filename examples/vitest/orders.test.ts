/** A test with a RocketMQ cluster of its own: started in this process on free ports, gone with close(). */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type RunningCluster, startCluster } from "skylark-mq";
import { afterAll, beforeAll, expect, it } from "vitest";

// The cluster lives in this process: whatever waits for it must wait without blocking (execFileSync would wait for ever).
const run = promisify(execFile);

let cluster: RunningCluster;
beforeAll(async () => {
  cluster = await startCluster({ topics: ["orders", { name: "invoices", queues: 1, type: "FIFO" }] });
});
afterAll(() => cluster.close());

it("has its topics before the first client asks", async () => {
  // Any RocketMQ client will do; this one is the package's own mqadmin.
  const { stdout } = await run("npx", ["--no-install", "mqadmin", "topicList", "-n", cluster.namesrvAddr]);
  expect(stdout.split("\n")).toEqual(expect.arrayContaining(["orders", "invoices"]));
}, 30_000);
