/** The journal's records against what Apache's classes write (fastjson2 of 5.5.0, dumped once). */
import { describe, expect, it } from "vitest";
import { MessageDraft } from "../../message/draft.ts";
import { RecordView } from "../../message/record.ts";
import { type JournalRecord, RecordWriter, readRecord } from "./records.ts";
import { Checkpoint, PopGroup, PopQueue } from "./state.ts";

const queue = new PopQueue(new PopGroup("T", "g"), 3);
const writer = new RecordWriter("b");

/** What the writer holds, as it would lie in the log, read back. */
function readBack(): { body: string; properties: string; record: JournalRecord | undefined } {
  const draft = new MessageDraft();
  draft.topic = Buffer.from("rmq_sys_REVIVE_LOG_c");
  draft.setHosts(Buffer.alloc(8), Buffer.alloc(8));
  draft.body = writer.body;
  draft.bodyEnd = writer.bodyEnd;
  draft.properties = writer.properties;
  draft.propertiesEnd = writer.propertiesEnd;
  const bytes = Buffer.alloc(draft.totalBytes());
  draft.encode(bytes, 0, bytes.length, 0, 0);
  const view = new RecordView();
  expect(view.read(bytes, 0, bytes.length, true)).toBe("record");
  return { body: view.body().toString(), properties: view.properties(), record: readRecord(view) };
}

function ofApache(tag: string, body: string, more = ""): JournalRecord | undefined {
  writer.body.write(body);
  writer.bodyEnd = Buffer.byteLength(body);
  writer.propertiesEnd = writer.properties.write(`TAGS\u0001${tag}\u0002${more}`);
  return readBack().record;
}

const APACHE_CK =
  '{"bm":0,"bn":"b","c":"g","d":[0,2],"it":60000,"n":2,"pt":1700000000000,"q":3,"reviveTime":1700000060000,"ro":0,"so":5,"sp":false,"t":"T"}';

describe("records of the pop journal", () => {
  it("are Apache's bytes for a checkpoint", () => {
    const checkpoint = new Checkpoint(queue, 5, 1_700_000_000_000, 60_000, 2, [0, 2], 1);
    writer.checkpoint(checkpoint, 0, 8, -1, -1, 1_700_000_000_001);
    const { body, properties, record } = readBack();
    expect(body).toBe(APACHE_CK);
    expect(properties).toBe("TAGS\u0001ck\u0002TIMER_DELIVER_MS\u00011700000000001\u0002SKYLARK_POP\u00018\u0002");
    expect(record).toMatchObject({ kind: "ck", startOffset: 5, count: 2, diffs: [0, 2], next: 8, ours: true });
  });

  it("are Apache's bytes with every optional field", () => {
    const checkpoint = new Checkpoint(queue, 5, 1_700_000_000_000, 60_000, 2, [0, 2], 1);
    checkpoint.rePutTimes = 1;
    checkpoint.suspend = true;
    writer.checkpoint(checkpoint, 2, -1, 4, 1_699_999_999_999, 1);
    const { body, record } = readBack();
    expect(body).toBe(
      '{"bm":2,"bn":"b","c":"g","d":[0,2],"it":60000,"n":2,"pt":1700000000000,"q":3,"reviveTime":1700000060000,"ro":0,"rp":"1","so":5,"sp":true,"t":"T"}',
    );
    expect(record).toMatchObject({
      bitMap: 2,
      rePutTimes: 1,
      suspend: true,
      next: -1,
      replaced: { startOffset: 4, popTime: 1_699_999_999_999 },
    });
  });

  it("leave the distances out where there are none, as old checkpoints of Apache", () => {
    writer.checkpoint(new Checkpoint(queue, 5, 17, 1, 32, undefined, 0), -1, 37, -1, -1, 1);
    const { body, record } = readBack();
    expect(body).not.toContain('"d"');
    expect(record).toMatchObject({ count: 32, diffs: undefined, bitMap: -1 });
  });

  it("are Apache's bytes for one acknowledgement", () => {
    const checkpoint = new Checkpoint(queue, 5, 1_700_000_000_000, 60_000, 3, undefined, 1);
    writer.acks(checkpoint, 0b010, 1);
    const { body, record } = readBack();
    expect(body).toBe('{"ao":6,"bn":"b","c":"g","pt":1700000000000,"q":3,"so":5,"t":"T"}');
    expect(record).toMatchObject({ kind: "ack", offsets: [6], ours: true });
  });

  it("are Apache's bytes for several acknowledgements", () => {
    const checkpoint = new Checkpoint(queue, 5, 1_700_000_000_000, 60_000, 3, undefined, 1);
    writer.acks(checkpoint, 0b101, 1);
    const { body, record } = readBack();
    expect(body).toBe('{"ao":-1,"aol":[5,7],"bn":"b","c":"g","pt":1700000000000,"q":3,"so":5,"t":"T"}');
    expect(record).toMatchObject({ kind: "ack", offsets: [5, 7] });
  });

  it("acknowledge the last of 32 messages, whose bit is the sign", () => {
    const checkpoint = new Checkpoint(queue, 100, 17, 1, 32, undefined, 0);
    writer.acks(checkpoint, 1 << 31, 1);
    expect(readBack().record).toMatchObject({ offsets: [131] });
    writer.acks(checkpoint, (1 << 31) | 1, 1);
    expect(readBack().record).toMatchObject({ offsets: [100, 131] });
  });

  it("of Apache are read: checkpoints, acknowledgements with short and with long names, batches", () => {
    expect(ofApache("ck", APACHE_CK)).toMatchObject({ ours: false, next: -1, diffs: [0, 2], replaced: undefined });
    const ack = '{"ao":6,"bn":"b","c":"g","pt":17,"q":3,"so":5,"t":"T"}';
    expect(ofApache("ack", ack)).toMatchObject({ kind: "ack", offsets: [6], popTime: 17, ours: false });
    const old = '{"ackOffset":6,"consumerGroup":"g","popTime":17,"queueId":3,"startOffset":5,"topic":"T"}';
    expect(ofApache("ack", old)).toMatchObject({ offsets: [6], popTime: 17, queueId: 3, startOffset: 5, topic: "T" });
    const batch = '{"ao":0,"aol":[5,7],"c":"g","pt":17,"q":3,"so":5,"t":"T"}';
    expect(ofApache("bAck", batch)).toMatchObject({ kind: "ack", offsets: [5, 7] });
  });

  it("of no kind, and checkpoints that mean nothing, are passed over", () => {
    expect(ofApache("other", "{}")).toBeUndefined();
    expect(ofApache("ck", '{"n":1}')).toBeUndefined();
    expect(ofApache("ck", '{"n":0,"t":"T","c":"g"}')).toBeUndefined();
    expect(ofApache("ck", '{"n":33,"t":"T","c":"g"}')).toBeUndefined();
    expect(() => ofApache("ck", "no JSON")).toThrow();
  });

  it("keep order states", () => {
    const info = {
      popTime: 17,
      i: 60_000,
      o: [4, 2, 3],
      ot: new Map([[6, 99]]),
      oc: new Map([[4, 1]]),
      l: 18,
      cm: 2,
      a: "at",
    };
    writer.order(queue, 12, info, 1);
    expect(readBack().record).toEqual({ kind: "order", topic: "T", group: "g", queueId: 3, committed: 12, info });
    writer.order(queue, 12, undefined, 1);
    expect(readBack().record).toMatchObject({ info: undefined });
  });
});
