import { describe, expect, it } from "vitest";
import { decodeBatchAck } from "./bodies/batchAck.ts";
import {
  ExtraInfo,
  formatExtraInfo,
  normalTopic,
  OffsetInfo,
  popRetryTopic,
  realTopic,
  topicFlag,
} from "./extraInfo.ts";

function read(text: string): ExtraInfo {
  const info = new ExtraInfo();
  const bytes = Buffer.from(`<<${text}>>`);
  info.read(bytes, 2, bytes.length - 2);
  return info;
}

describe("handles of popped messages", () => {
  it("are written and read as ExtraInfoUtil does", () => {
    const handle = formatExtraInfo(7, 1_700_000_000_000, 60_000, 5, "%RETRY%g+T", "broker-a", 3, 9);
    expect(handle).toBe("7 1700000000000 60000 5 2 broker-a 3 9");
    expect(read(handle)).toMatchObject({
      ckQueueOffset: 7,
      popTime: 1_700_000_000_000,
      invisibleTime: 60_000,
      reviveQid: 5,
      topicFlag: 2,
    });
    expect(read("0 1 2 999 0 b").reviveQid).toBe(999);
  });

  it("that are none are refused with what is wrong", () => {
    expect(() => read("")).toThrow("the start offset");
    expect(() => read("1 2 3 4")).toThrow("the topic's kind");
    expect(() => read("1 x 3 4 0 b")).toThrow("the pop time");
    expect(() => read("1 2 3 4 0 ")).toThrow("no broker name");
    expect(() => read("99999999999999999999 2 3 4 0 b")).toThrow("the start offset");
  });

  it("name retry topics of old and of new", () => {
    expect(popRetryTopic("T", "g", false)).toBe("%RETRY%g_T");
    expect(popRetryTopic("T", "g", true)).toBe("%RETRY%g+T");
    expect(["T", "%RETRY%g_T", "%RETRY%g+T"].map(topicFlag)).toEqual([0, 1, 2]);
    expect([0, 1, 2].map((flag) => realTopic("T", "g", flag))).toEqual(["T", "%RETRY%g_T", "%RETRY%g+T"]);
    expect(["T", "%RETRY%g_T", "%RETRY%g+T_1"].map((topic) => normalTopic(topic, "g"))).toEqual(["T", "T", "T_1"]);
  });

  it("lists of offsets are those of ExtraInfoUtil", () => {
    const list = new OffsetInfo();
    list.addQueue(0, 3, 17);
    list.addQueue(1, 0, 4);
    expect(list.text()).toBe("0 3 17;1 0 4");
    list.clear();
    list.addOffsets(0, 3, Float64Array.of(1, 2, 5_000_000_000), 1, 3);
    list.addOffsets(2, 0, Float64Array.of(9), 0, 1);
    expect(list.text()).toBe("0 3 2,5000000000;2 0 9");
    list.clear();
    list.addOrderCount(0, 3, 17, 2);
    expect(list.text()).toBe("0 qo3%17 2");
  });

  it("lists grow as far as 32 offsets in as many queues need", () => {
    const list = new OffsetInfo();
    for (let queueId = 0; queueId < 3_000; queueId++) {
      list.addOffsets(0, queueId, Float64Array.of(Number.MAX_SAFE_INTEGER), 0, 1);
    }
    const entries = list.text().split(";");
    expect(entries.length).toBe(3_000);
    expect(entries[2_999]).toBe("0 2999 9007199254740991");
  });
});

describe("batches of acknowledgements", () => {
  it("carry a Java BitSet in Base64", () => {
    const body = '{"acks":[{"b":"AQI=","c":"g","it":60,"pt":17,"q":3,"r":"1","rq":1,"so":5,"t":"T"}],"brokerName":"b"}';
    expect(decodeBatchAck(body)).toEqual({
      brokerName: "b",
      acks: [
        {
          consumerGroup: "g",
          topic: "T",
          retry: 1,
          startOffset: 5,
          queueId: 3,
          reviveQueueId: 1,
          popTime: 17,
          invisibleTime: 60,
          offsets: [5, 14],
        },
      ],
    });
  });

  it("takes no more messages of one acknowledgement than a pop can have given", () => {
    const b = Buffer.alloc(4096, 0xff).toString("base64");
    const [ack] = decodeBatchAck(`{"acks":[{"c":"g","t":"T","r":"0","so":5,"b":"${b}"}]}`).acks;
    expect(ack.offsets).toEqual(Array.from({ length: 32 }, (_, i) => 5 + i));
  });

  it("without names, or with a kind of topic that is none, are refused", () => {
    expect(() => decodeBatchAck('{"acks":[{"b":"AQ==","c":"g","r":"0"}]}')).toThrow("topic");
    expect(() => decodeBatchAck('{"acks":[{"b":"AQ==","c":"g","t":"T","r":"3"}]}')).toThrow("getRetry fail");
    expect(decodeBatchAck("{}").acks).toEqual([]);
  });
});
