import { describe, expect, it } from "vitest";
import { alterAttributes, GROUP_ATTRIBUTES, parseAttributeChanges, TOPIC_ATTRIBUTES } from "./attributes.ts";

const none = new Map<string, string>();

function create(text: string) {
  return alterAttributes(true, TOPIC_ATTRIBUTES, none, parseAttributeChanges(text));
}

function change(current: Record<string, string>, text: string) {
  return alterAttributes(false, TOPIC_ATTRIBUTES, new Map(Object.entries(current)), parseAttributeChanges(text));
}

describe("attributes, with Apache's remarks", () => {
  it("adds, changes and removes", () => {
    expect(create("+message.type=FIFO,+queue.type=BatchCQ")).toEqual(
      new Map([
        ["message.type", "FIFO"],
        ["queue.type", "BatchCQ"],
      ]),
    );
    expect(change({ "message.type": "FIFO" }, "+message.type=DELAY")).toEqual(new Map([["message.type", "DELAY"]]));
    expect(change({ "message.type": "FIFO" }, "-message.type")).toEqual(none);
    expect(parseAttributeChanges(undefined)).toEqual(none);
  });

  it.each([
    ["-message.type", "only add attribute is supported while creating topic. key: message.type"],
    ["+nope=1", "unsupported key: nope"],
    ["+queue.type=Other", "value is not in set: [SimpleCQ, BatchCQ]"],
    ["+lite.topic.expiration=43201", "value is not in range(-1, 43200)"],
    ["+reserve.time=-2", "value is not in range(-1, 9223372036854775807)"],
    ["+reserve.time=x", 'For input string: "x"'],
    ["message.type=FIFO", "add/alter attribute format is wrong: message.type"],
    ["+message.type", "delete attribute format is wrong: +message.type"],
    ["+message.type=FIFO,+message.type=DELAY", "key duplication: +message.type"],
    ["++message.type=FIFO", "kv string format wrong."],
    ["+constructor=1", "unsupported key: constructor"],
  ])("refuses %s on creation", (text, remark) => {
    expect(() => create(text)).toThrow(remark);
  });

  it.each([
    ["-message.type", "attempt to delete a nonexistent key: message.type"],
    ["+queue.type=BatchCQ", "attempt to update an unchangeable attribute. key: queue.type"],
    ["+message.type=FIFO,-message.type", "alter duplication key. key: message.type"],
  ])("refuses %s on a topic without attributes", (text, remark) => {
    expect(() => change({}, text)).toThrow(remark);
  });

  it("checks the attributes of groups as well", () => {
    const alter = (key: string, value: string) =>
      alterAttributes(true, GROUP_ATTRIBUTES, none, new Map([[key, value]]));
    expect(alter("+priority.factor", "50")).toEqual(new Map([["priority.factor", "50"]]));
    expect(() => alter("+priority.factor", "101")).toThrow("value is not in range(0, 100)");
    expect(() => alter("+lite.sub.reset.offset.exclusive", "maybe")).toThrow("boolean attribute format is wrong.");
    expect(() => alter("+lite.sub.model", "Both")).toThrow("value is not in set");
  });
});
