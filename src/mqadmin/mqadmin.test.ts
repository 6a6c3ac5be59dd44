/** Whole commands against a cluster of this process; that the texts are Apache's is what compat-tests/mqadmin compares. */
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningCluster, startCluster } from "../index.ts";
import { run } from "./main.ts";

let cluster: RunningCluster;

beforeAll(async () => {
  cluster = await startCluster({ topics: [{ name: "Orders", queues: 2 }] });
});
afterAll(() => cluster.close());

async function mqadmin(line: string, env: Record<string, string> = { NAMESRV_ADDR: cluster.namesrvAddr }) {
  let [out, err] = ["", ""];
  const args = line.replaceAll("{broker}", cluster.brokerAddr).split(" ");
  const status = await run(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env,
  });
  return { status, out, err };
}

/** What became true soon after. */
async function until(line: string, pattern: RegExp) {
  for (let i = 0; ; i++) {
    const result = await mqadmin(line);
    if (pattern.test(result.out) || i === 200) return result;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

describe("mqadmin", () => {
  it("finds the NameServers by -n, else by NAMESRV_ADDR, and says when there are none", async () => {
    expect((await mqadmin("topicList")).out).toContain("Orders\n");
    expect((await mqadmin(`topicList -n ${cluster.namesrvAddr}`, {})).out).toContain("Orders\n");
    const none = await mqadmin("topicList", {});
    expect(none).toMatchObject({ status: 0, out: "" });
    expect(none.err).toContain("No name server address: give -n, or set NAMESRV_ADDR");
    expect((await mqadmin("topicList -n 127.0.0.1:1", {})).err).toContain("connect to [127.0.0.1:1] failed");
  });

  it("asks the next NameServer when one is away", async () => {
    const { out } = await mqadmin(`topicRoute -t Orders -n 127.0.0.1:1;${cluster.namesrvAddr}`, {});
    expect(JSON.parse(out.replace(/(\d+):"/g, '"$1":"'))).toMatchObject({
      brokerDatas: [{ brokerAddrs: { 0: cluster.brokerAddr }, cluster: "DefaultCluster" }],
      queueDatas: [{ readQueueNums: 2, writeQueueNums: 2, perm: 6 }],
    });
  });

  it("makes, changes and deletes a topic", async () => {
    const made = await mqadmin("updateTopic -b {broker} -t Made -r 3 -w 4 -a +message.type=FIFO");
    expect(made.out).toMatch(
      /^create topic to .* success\.\nTopicConfig \[topicName=Made, readQueueNums=3, writeQueueNums=4/,
    );
    expect((await mqadmin("topicStatus -t Made")).out.match(/^broker-a/gm)).toHaveLength(4);
    expect((await mqadmin("updateTopic -c DefaultCluster -t Made -p 9")).err).toContain(
      "CODE: 16  DESC: topicPermission value: 9 is invalid.",
    );
    expect((await mqadmin("deleteTopic -t Made -c DefaultCluster")).out).toContain("from NameServer success");
    expect((await mqadmin("topicRoute -t Made")).err).toContain("CODE: 17  DESC: No topic route info");
  });

  it("sends a message, finds it by key and by both ids, and consumes it", async () => {
    const sent = await mqadmin("sendMessage -t Orders -p hello -k key-1 -c TagA -b broker-a -i 1");
    const id = /SEND_OK +(\w+)/.exec(sent.out)?.[1] as string;
    const found = await until("queryMsgByKey -t Orders -k key-1", new RegExp(id));
    expect(found.out).toMatch(new RegExp(`^${id} +1 +0 \\d+@Orders@K@key-1@${id}@0 *$`, "m"));
    const shown = await mqadmin(`queryMsgById -t Orders -i ${id} -f UTF-8`);
    expect(shown.out).toMatch(/^Tags: +\[TagA\]$/m);
    expect(shown.out).toMatch(/^Message Body: +hello$/m);
    expect(shown.out).toContain("WARN: No Consumer");
    const path = /Message Body Path: +(\S+)/.exec(shown.out)?.[1] as string;
    expect(existsSync(path) && readFileSync(path, "utf8")).toBe("hello");
    const offsetId = /OffsetID: +(\w+)/.exec(shown.out)?.[1];
    expect((await mqadmin(`queryMsgById -t Orders -i ${offsetId}`)).out).toContain(`OffsetID:            ${offsetId}`);
    const consumed = await mqadmin("consumeMessage -t Orders -b broker-a -i 1 -o 0 -c 1");
    expect(consumed.out).toContain(`Consume ok\nMSGID: ${id} MessageExt [brokerName=broker-a, queueId=1`);
    expect(consumed.out).toContain("body=[104, 101, 108, 108, 111]");
    expect(consumed.out).toContain("BODY: hello\n");
  });

  it("makes a topic by sending to it", async () => {
    expect((await mqadmin("sendMessage -t BySending -p hello")).out).toMatch(/^broker-a +[0-3] +SEND_OK/m);
  });

  it("resets a group, and shows how far it is", async () => {
    await mqadmin("updateSubGroup -b {broker} -g Group -r 3");
    await mqadmin("sendMessage -t Orders -p first -b broker-a -i 0");
    const reset = await mqadmin("resetOffsetByTime -g Group -t Orders -s 1");
    expect(reset.out).toMatch(/^broker-a +0 +0 *\nbroker-a +1 +0 *$/m);
    const progress = await mqadmin("consumerProgress -g Group -t Orders");
    expect(progress.out).toMatch(/^Orders +broker-a +0 +1 +0 +1 +0 /m);
    expect(progress.out).toMatch(/Consume Diff Total: [12]\n/);
    expect((await mqadmin("consumerConnection -g Group -b {broker}")).err).toContain("CODE: 206");
  });

  it("changes an option, and tells a refusal with the broker's words and address", async () => {
    expect(await mqadmin("updateBrokerConfig -b {broker} -k traceOn -v false")).toEqual({
      status: 0,
      out: `update broker config success, ${cluster.brokerAddr}\n`,
      err: "",
    });
    expect((await mqadmin("getBrokerConfig -c DefaultCluster")).out).toMatch(/^traceOn {43}= {2}false$/m);
    const refused = await mqadmin("updateBrokerConfig -b {broker} -k brokerConfigPath -v x");
    expect(refused).toMatchObject({ status: 0, out: "" });
    expect(refused.err).toContain(`CODE: 16  DESC: Can not update config in black list. BROKER: ${cluster.brokerAddr}`);
    expect((await mqadmin("updateBrokerConfig -k traceOn -v true")).out).toMatch(/^usage: mqadmin updateBrokerConfig/);
  });

  it("shows the cluster, also while one of its brokers does not answer", async () => {
    expect((await mqadmin("clusterList")).out).toMatch(
      new RegExp(`^DefaultCluster +broker-a +0 +${cluster.brokerAddr} +V5_5_0 +\\d+\\.\\d\\d\\(0,0ms\\) .* true$`, "m"),
    );
    expect((await mqadmin("brokerStatus -b {broker}")).out).toMatch(/^brokerVersionDesc +: V5_5_0$/m);
    expect((await mqadmin("clusterList -c Nowhere")).out.split("\n")).toHaveLength(2);
    expect((await mqadmin("brokerStatus -c Nowhere")).out).toMatch(/^\[error\] Make sure the specified clusterName/);
  });

  it("says which commands it has", async () => {
    const unknown = await mqadmin("getAcl -b {broker}");
    expect(unknown).toMatchObject({ status: 1, out: "The sub command getAcl not exist.\n" });
    expect(unknown.err).toMatch(/knows brokerStatus, .*For others use the official mqadmin/);
    expect((await mqadmin("help topicroute")).out).toMatch(/^usage: mqadmin topicRoute /);
    expect((await mqadmin("TOPICROUTE")).status).toBe(1);
  });
});
