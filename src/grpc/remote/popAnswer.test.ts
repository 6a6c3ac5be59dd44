import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { recordBytesOf } from "../../testing/records.ts";
import { writeHandle } from "../receiptHandle.ts";
import { readPopped } from "./popAnswer.ts";

const fields = (more: Record<string, string>) =>
  new Map(Object.entries({ popTime: "1000", invisibleTime: "60000", reviveQid: "3", ...more }));
const answer = (records: Buffer[], more: Record<string, string>) => ({
  code: 0,
  remark: undefined,
  fields: fields(more),
  body: Buffer.concat(records),
});

describe("a pop's answer", () => {
  it("becomes messages with the handles that acknowledge them", () => {
    const records = [
      recordBytesOf({ topic: "T", queueId: 1, queueOffset: 7, logOffset: 500, body: "a" }),
      recordBytesOf({ topic: "T", queueId: 1, queueOffset: 9, logOffset: 700, body: "b" }),
      recordBytesOf({ topic: "%RETRY%G_T", queueId: 0, queueOffset: 2, logOffset: 900, body: "c", reconsumeTimes: 4 }),
      recordBytesOf({ topic: "%RETRY%G+T", queueId: 0, queueOffset: 5, logOffset: 950, body: "d", reconsumeTimes: 1 }),
    ];
    const lists = { startOffsetInfo: "0 1 7;1 0 2;2 0 5", msgOffsetInfo: "0 1 7,9;1 0 2;2 0 5" };
    const popped = readPopped(answer(records, lists), "broker-a", "T");
    expect(popped.map(({ source }) => [source.body.toString(), source.reconsumeTimes])).toEqual([
      ["a", 0],
      ["b", 0],
      ["c", 4],
      ["d", 1],
    ]);
    expect(popped.map(({ handle }) => writeHandle(handle))).toEqual([
      "7 1000 60000 3 0 broker-a 1 7 500",
      "7 1000 60000 3 0 broker-a 1 9 700",
      "2 1000 60000 3 1 broker-a 0 2 900",
      "5 1000 60000 3 2 broker-a 0 5 950",
    ]);
  });

  it("takes the attempts of an ordered group by message, else by queue", () => {
    const records = [
      recordBytesOf({ topic: "T", queueId: 0, queueOffset: 1, logOffset: 0, body: "a" }),
      recordBytesOf({ topic: "T", queueId: 0, queueOffset: 2, logOffset: 1, body: "b" }),
    ];
    const orderCountInfo = "0 qo0%1 5;0 0 2";
    const popped = readPopped(answer(records, { startOffsetInfo: "0 0 1", orderCountInfo }), "b", "T");
    expect(popped.map(({ source }) => source.reconsumeTimes)).toEqual([5, 2]);
  });

  it("believes a message that names its handle itself, and finds a message's place in a light queue", () => {
    const ck = recordBytesOf({
      topic: "T",
      queueId: 0,
      queueOffset: 1,
      logOffset: 77,
      body: "a",
      properties: [["POP_CK", "4 900 100 2 1 broker-a 0 6"]],
    });
    const light = recordBytesOf({
      topic: "P",
      queueId: 3,
      queueOffset: 40,
      logOffset: 88,
      body: "b",
      properties: [
        ["INNER_MULTI_DISPATCH", "%LMQ%x,%LMQ%y"],
        ["INNER_MULTI_QUEUE_OFFSET", "11,12"],
      ],
    });
    const popped = readPopped(answer([ck, light], { startOffsetInfo: "0 0 10" }), "broker-a", "%LMQ%y");
    expect(popped.map(({ handle }) => writeHandle(handle))).toEqual([
      "4 900 100 2 1 broker-a 0 6 77",
      "10 1000 60000 3 0 broker-a 0 12 88",
    ]);
  });

  it("refuses bytes that are no messages, and numbers that are none", () => {
    const whole = recordBytesOf({ topic: "T", queueId: 0, queueOffset: 1, logOffset: 0, body: "a" });
    expect(() => readPopped(answer([whole, Buffer.from("torn")], {}), "b", "T")).toThrow("no message");
    expect(() => readPopped(answer([whole], { popTime: "soon" }), "b", "T")).toThrow("popTime=soon");
  });
});
