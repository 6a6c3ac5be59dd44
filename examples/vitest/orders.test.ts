/** A test with a RocketMQ cluster of its own: started in this process on free ports, gone with close(). */
import { execFileSync } from "node:child_process";
import { type RunningCluster, startCluster } from "skylark-mq";
import { afterAll, beforeAll, expect, it } from "vitest";

let cluster: RunningCluster;
beforeAll(async () => {
  cluster = await startCluster({ topics: ["orders", { name: "invoices", queues: 1, type: "FIFO" }] });
});
afterAll(() => cluster.close());

it("has its topics before the first client asks", () => {
  // Any RocketMQ client will do; this one is the package's own mqadmin.
  const listed = execFileSync("npx", ["--no-install", "mqadmin", "topicList", "-n", cluster.namesrvAddr], {
    encoding: "utf8",
  });
  expect(listed.split("\n")).toEqual(expect.arrayContaining(["orders", "invoices"]));
});
