import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";
import { FrameSplitter } from "./frames.ts";

function frame(text: string): Buffer {
  const bytes = Buffer.alloc(4 + text.length);
  bytes.writeInt32BE(text.length, 0);
  bytes.write(text, 4, "latin1");
  return bytes;
}

/** A splitter that stops itself behind each frame of `stopBehind`. */
function splitter(stopBehind: string[]) {
  const seen: string[] = [];
  const it = new FrameSplitter((buf, start, end) => {
    const text = buf.toString("latin1", start, end);
    seen.push(text);
    if (stopBehind.includes(text)) it.stop();
  });
  return { it, seen };
}

describe("a splitter that is stopped", () => {
  const stream = Buffer.concat(["aaaa", "bbbb", "cccc", "dddd"].map(frame));

  test("hands out nothing more of the same chunk until it goes on", () => {
    const { it, seen } = splitter(["bbbb", "cccc"]);
    it.push(stream);
    expect(seen).toEqual(["aaaa", "bbbb"]);
    it.resume();
    expect(seen).toEqual(["aaaa", "bbbb", "cccc"]);
    it.resume();
    expect(seen).toEqual(["aaaa", "bbbb", "cccc", "dddd"]);
  });

  test("keeps what comes meanwhile, wherever the stream was cut", () => {
    for (let first = 1; first < stream.length; first++) {
      for (let second = first; second < stream.length; second += 3) {
        const { it, seen } = splitter(["aaaa", "cccc"]);
        it.push(stream.subarray(0, first));
        it.push(stream.subarray(first, second));
        it.push(stream.subarray(second));
        expect(seen).toEqual(["aaaa"]);
        it.resume();
        expect(seen).toEqual(["aaaa", "bbbb", "cccc"]);
        it.resume();
        expect(seen).toEqual(["aaaa", "bbbb", "cccc", "dddd"]);
      }
    }
  });
});
