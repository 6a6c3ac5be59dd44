/**
 * The body of a batch send (MessageDecoder.encodeMessages), one after the other:
 *
 *   0 totalSize i32 | 4 magic i32 (0) | 8 bodyCRC i32 (0) | 12 flag i32 | 16 bodyLength i32, body | propertiesLength i16, properties
 */
import { Buffer } from "node:buffer";

export class BatchError extends Error {}

/** Places of the messages of a batch in the frame. */
export interface Batch {
  count: number;
  flags: number[];
  bodyStarts: number[];
  bodyEnds: number[];
  propertiesStarts: number[];
  propertiesEnds: number[];
}

/** @throws BatchError naming the message and what is wrong with it */
export function readBatch(buf: Buffer, start: number, end: number): Batch {
  const batch: Batch = { count: 0, flags: [], bodyStarts: [], bodyEnds: [], propertiesStarts: [], propertiesEnds: [] };
  let at = start;
  while (at < end) {
    const name = `message ${batch.count}`;
    if (end - at < 22) throw new BatchError(`${name} has only ${end - at} bytes`);
    const total = buf.readInt32BE(at);
    const bodyBytes = buf.readInt32BE(at + 16);
    if (bodyBytes < 0 || bodyBytes > end - at - 22) throw new BatchError(`${name}: body length ${bodyBytes}`);
    const bodyStart = at + 20;
    const propertiesBytes = buf.readInt16BE(bodyStart + bodyBytes);
    const propertiesStart = bodyStart + bodyBytes + 2;
    if (propertiesBytes < 0 || propertiesBytes > end - propertiesStart) {
      throw new BatchError(`${name}: properties length ${propertiesBytes}`);
    }
    const next = propertiesStart + propertiesBytes;
    if (total !== next - at) throw new BatchError(`${name}: size ${total} where its parts take ${next - at}`);
    batch.flags.push(buf.readInt32BE(at + 12));
    batch.bodyStarts.push(bodyStart);
    batch.bodyEnds.push(bodyStart + bodyBytes);
    batch.propertiesStarts.push(propertiesStart);
    batch.propertiesEnds.push(next);
    batch.count++;
    at = next;
  }
  if (batch.count === 0) throw new BatchError("it has no message");
  return batch;
}

/** Header of one message of a batch, and the length of its properties. */
const OVERHEAD_BYTES = 22;

/** The body of a batch send. `properties` are in their wire form. */
export function encodeBatch(messages: readonly { body: Buffer; properties: Buffer }[]): Buffer {
  const total = messages.reduce(
    (sum, { body, properties }) => sum + OVERHEAD_BYTES + body.length + properties.length,
    0,
  );
  const out = Buffer.alloc(total);
  let at = 0;
  for (const { body, properties } of messages) {
    out.writeInt32BE(OVERHEAD_BYTES + body.length + properties.length, at);
    out.writeInt32BE(body.length, at + 16);
    body.copy(out, at + 20);
    out.writeInt16BE(properties.length, at + 20 + body.length);
    properties.copy(out, at + OVERHEAD_BYTES + body.length);
    at += OVERHEAD_BYTES + body.length + properties.length;
  }
  return out;
}
