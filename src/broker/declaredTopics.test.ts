import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startCluster } from "../index.ts";
import { decodeTopicConfig, type TopicConfig } from "../protocol/bodies/topicConfig.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { RawClient } from "../testing/rawClient.ts";
import { parseDeclaredTopics } from "./declaredTopics.ts";

const problems = (text: string) => {
  try {
    parseDeclaredTopics(text, "topics.json");
  } catch (error) {
    return (error as Error).message.split("\n");
  }
  return [];
};

describe("declared topics", () => {
  it("are names, or objects, in a list or under `topics`", () => {
    const both = [
      { name: "A", queues: undefined, type: undefined, perm: undefined },
      { name: "B", queues: 4, type: "FIFO", perm: 4 },
    ];
    const list = '["A", {"name": "B", "queues": 4, "type": "FIFO", "perm": "R"}]';
    expect(parseDeclaredTopics(list, "f")).toEqual(both);
    expect(parseDeclaredTopics(`\uFEFF{"topics": ${list}}`, "f")).toEqual(both);
  });

  it("are refused with every problem and its place", () => {
    expect(
      problems(
        '[{"name": "Good"}, {"name": "Bad!"}, {"queues": 1}, {"name": "Good", "queue": 3}, 7, ' +
          '{"name": "Q", "queues": 0, "type": "fifo", "perm": 1, "what": 1}, {"name": "%RETRY%g"}]',
      ),
    ).toEqual([
      "topics.json: topic 2 (Bad!): The specified topic: Bad!, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
      "topics.json: topic 3: name is missing",
      'topics.json: topic 4 (Good): unknown key "queue", did you mean "queues"?',
      'topics.json: topic 5: 7 is neither a name nor {"name": ...}',
      'topics.json: topic 6 (Q): unknown key "what" (known: name, queues, type, perm)',
      "topics.json: topic 6 (Q): queues 0 is no whole number from 1 to 65536",
      'topics.json: topic 6 (Q): type "fifo" is none of UNSPECIFIED, NORMAL, FIFO, DELAY, TRANSACTION, PRIORITY, LITE, MIXED',
      'topics.json: topic 6 (Q): perm 1 is none of "R", "W", "RW", 4, 2, 6',
      "topics.json: topic 7 (%RETRY%g): retry and dead-letter topics are made by the broker",
      "topics.json: topic 4 (Good): declared already as topic 1",
    ]);
  });

  it("say where a file is not JSON, or not a list", () => {
    expect(problems('[\n  "A"\n  "B"\n]')[0]).toMatch(/^topics\.json: not JSON: .*line 3 column 3/);
    expect(problems('{"topic": []}')).toEqual([
      'topics.json: {"topic":[]} is no list of topics ([...] or {"topics": [...]})',
    ]);
  });

  it("are there when the cluster is, and change what is declared and nothing else", async () => {
    const store = mkdtempSync(join(tmpdir(), "skylark-topics-"));
    const life = async (topics: Parameters<typeof startCluster>[0]): Promise<TopicConfig[]> => {
      const cluster = await startCluster({ store, ...topics });
      const client = await RawClient.connect(cluster.brokerAddr);
      const found: TopicConfig[] = [];
      for (const topic of ["Jobs", "Plain"]) {
        const { body } = await client.ask(RequestCode.GET_TOPIC_CONFIG, { fields: { topic } });
        found.push(decodeTopicConfig(body));
      }
      client.close();
      await cluster.close();
      return found;
    };
    try {
      const [jobs, plain] = await life({ topics: [{ name: "Jobs", queues: 4, type: "DELAY", perm: "R" }, "Plain"] });
      expect(jobs).toMatchObject({ readQueueNums: 4, writeQueueNums: 4, perm: 4 });
      expect(jobs.attributes).toEqual(new Map([["message.type", "DELAY"]]));
      expect(plain).toMatchObject({ readQueueNums: 8, writeQueueNums: 8, perm: 6, attributes: new Map() });
      expect(await life({})).toEqual([jobs, plain]);
      expect(await life({ topics: [{ name: "Jobs", queues: 6 }] })).toEqual([
        { ...jobs, readQueueNums: 6, writeQueueNums: 6 },
        plain,
      ]);
      const [typed] = await life({ topics: [{ name: "Jobs", type: "FIFO", perm: 6 }] });
      expect(typed).toMatchObject({ readQueueNums: 6, perm: 6, attributes: new Map([["message.type", "FIFO"]]) });
    } finally {
      rmSync(store, { recursive: true, force: true });
    }
  });

  it("are refused before anything starts when this broker cannot have them", async () => {
    await expect(startCluster({ topics: ["Good", "TBW102"] })).rejects.toThrow(
      "topic TBW102 cannot be declared: it is a system topic",
    );
    await expect(startCluster({ topics: [{ name: "M", type: "MIXED" }] })).rejects.toThrow("enableMixedMessageType");
  });
});
