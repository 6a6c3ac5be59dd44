import { describe, expect, it } from "vitest";
import { disguise } from "./disguise.ts";
import { MessageDraft } from "./draft.ts";
import { parseProperties } from "./properties.ts";
import { RecordView } from "./record.ts";

function record(topic: string, properties: string, body = "body"): Buffer {
  const draft = new MessageDraft();
  draft.queueId = 3;
  draft.setHosts(Buffer.from([1, 2, 3, 4, 0, 0, 0, 5]), Buffer.alloc(20, 7));
  draft.topic = Buffer.from(topic);
  draft.body = Buffer.from(body);
  draft.bodyEnd = draft.body.length;
  draft.properties = Buffer.from(properties);
  draft.propertiesEnd = draft.properties.length;
  draft.reconsumeTimes = 2;
  draft.storeTimestamp = 17;
  const bytes = Buffer.alloc(draft.totalBytes());
  draft.encode(bytes, 0, bytes.length, 9, 1234);
  return bytes;
}

function read(bytes: Buffer): RecordView {
  const view = new RecordView();
  expect(view.read(bytes, 0, bytes.length, true)).toBe("record");
  expect(view.totalBytes).toBe(bytes.length);
  return view;
}

describe("a record under another topic", () => {
  it("keeps everything else and gets one property", () => {
    const view = read(disguise(record("%RETRY%g_T", "TAGS\u0001a\u0002"), Buffer.from("T"), "POP_CK", "1 2 3"));
    expect(view.topic()).toBe("T");
    expect([...parseProperties(view.properties())]).toEqual([
      ["POP_CK", "1 2 3"],
      ["TAGS", "a"],
    ]);
    expect(view).toMatchObject({ queueId: 3, queueOffset: 9, logOffset: 1234, reconsumeTimes: 2, storeTimestamp: 17 });
    expect(view.body().toString()).toBe("body");
    expect(view.storeHost()).toEqual(Buffer.alloc(20, 7));
  });

  it("keeps a property that it has already, and does not take a part of a name for it", () => {
    const own = read(disguise(record("R", "A\u0001b\u0002POP_CK\u0001mine\u0002"), Buffer.from("T"), "POP_CK", "1 2"));
    expect(parseProperties(own.properties()).get("POP_CK")).toBe("mine");
    const other = read(disguise(record("R", "MY_POP_CK\u0001x\u0002"), Buffer.from("T"), "POP_CK", "1 2"));
    expect(parseProperties(other.properties()).get("POP_CK")).toBe("1 2");
  });

  it("goes without the property where there is no room, and takes long topics", () => {
    const full = record("R", `A\u0001${"x".repeat(32_760)}\u0002`);
    const view = read(disguise(full, Buffer.from("T".repeat(200)), "POP_CK", "1 2 3 4 5"));
    expect(view.topic()).toBe("T".repeat(200));
    expect(parseProperties(view.properties()).has("POP_CK")).toBe(false);
  });

  it("leaves alone what is no record", () => {
    const broken = Buffer.alloc(50, 3);
    expect(disguise(broken, Buffer.from("T"), "POP_CK", "1")).toBe(broken);
  });
});
