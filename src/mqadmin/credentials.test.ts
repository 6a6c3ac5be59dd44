import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningCluster, startCluster } from "../index.ts";
import { signerOf } from "./credentials.ts";
import { run } from "./main.ts";

const home = mkdtempSync(join(tmpdir(), "skylark-tools-"));
let cluster: RunningCluster;

beforeAll(async () => {
  mkdirSync(join(home, "conf"));
  cluster = await startCluster({
    config: { authenticationEnabled: "true", initAuthenticationUser: '{"username":"root","password":"hush"}' },
  });
});
afterAll(async () => {
  await cluster.close();
  rmSync(home, { recursive: true, force: true });
});

async function brokerConfig(): Promise<string> {
  let text = "";
  const keep = (more: string) => {
    text += more;
  };
  const env = { NAMESRV_ADDR: cluster.namesrvAddr, ROCKETMQ_HOME: home };
  await run(["getBrokerConfig", "-b", cluster.brokerAddr], { out: keep, err: keep, env });
  return text;
}

it("signs as conf/tools.yml says", async () => {
  const tools = (secret: string) =>
    writeFileSync(
      join(home, "conf", "tools.yml"),
      `accessKey: root\nsecretKey: ${secret}\nnamesrvAddr:\n  - 1.1.1.1:1\n`,
    );
  expect(await brokerConfig()).toContain("CODE: 16  DESC: username cannot be null.");
  tools("wrong");
  expect(await brokerConfig()).toContain("CODE: 16  DESC: check signature failed.");
  tools("hush");
  expect(await brokerConfig()).toMatch(/brokerClusterName\s*=\s*DefaultCluster/);
});

it("signs nothing without both keys, and says which line cannot be read", () => {
  expect([signerOf(undefined), signerOf(""), signerOf("accessKey: a\n")]).toEqual([undefined, undefined, undefined]);
  expect(() => signerOf("accessKey: a\nwhat\n")).toThrow('tools.yml:2: expected "key: value"');
});
