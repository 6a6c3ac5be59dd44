import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";
import { HeaderError, HeaderView, SERIALIZE_JSON, SERIALIZE_ROCKETMQ } from "./headerView.ts";

function opaqueOf(header: Buffer, serialization: number): number | undefined {
  const buf = Buffer.concat([Buffer.from('"opaque":1,'), header]);
  const view = new HeaderView();
  expect(() => view.read(buf, 11, buf.length, serialization)).toThrow(HeaderError);
  return view.opaqueOfRefused(11, buf.length);
}

const json = (text: string) => opaqueOf(Buffer.from(text), SERIALIZE_JSON);

describe("the opaque of a refused header", () => {
  test("is found behind extFields that could not be read", () => {
    const fields = Array.from({ length: 300 }, (_, i) => `"f${i}":"x"`).join();
    expect(json(`{"code":310,"extFields":{${fields}},"flag":0,"opaque":4711}`)).toBe(4711);
    expect(json('{"extFields":{"a":{}},"opaque" : -7 }')).toBe(-7);
  });

  test("is not taken from a field that only speaks of one, nor made up", () => {
    expect(json('{"extFields":{"a":"\\"opaque\\":5,","b":{}}}')).toBeUndefined();
    expect(json("{")).toBeUndefined();
    expect(json('{"code":1,"opaque":"x"}')).toBeUndefined();
  });

  test("lies at its place in a binary header", () => {
    const header = Buffer.alloc(21);
    header.writeInt32BE(99, 5);
    header.writeInt32BE(-1, 13);
    expect(opaqueOf(header, SERIALIZE_ROCKETMQ)).toBe(99);
    expect(opaqueOf(header.subarray(0, 8), SERIALIZE_ROCKETMQ)).toBeUndefined();
  });

  test("is unknown for a serialization that nobody knows", () => {
    expect(opaqueOf(Buffer.from('{"opaque":1}'), 77)).toBeUndefined();
  });
});
