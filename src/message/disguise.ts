/**
 * A record as a client shall see it, though it is stored otherwise: under another topic and with one property more. A pop
 * gives messages of retry topics under their own topic, with their handle (Apache: MessageDecoder.decode and encode).
 */
import { Buffer } from "node:buffer";
import { MAGIC_V1, MAGIC_V2, PROPERTIES_BYTES_MAX, RecordView } from "./record.ts";

const view = new RecordView();

/**
 * The record in `record`, under `topic` and with the property `name=value` in front, unless it has that property already
 * or no room for it.
 */
export function disguise(record: Buffer, topic: Buffer, name: string, value: string): Buffer {
  if (view.read(record, 0, record.length, false) !== "record") return record;
  const own = record.subarray(view.propertiesAt, view.propertiesAt + view.propertiesBytes);
  let property = Buffer.from(`${name}\u0001${value}\u0002`);
  if (hasProperty(own, name) || own.length + property.length > PROPERTIES_BYTES_MAX) property = Buffer.alloc(0);
  const bodyEnd = view.bodyAt + view.bodyBytes;
  const long = topic.length > 127;
  const bytes = bodyEnd + (long ? 2 : 1) + topic.length + 2 + property.length + own.length;
  const out = Buffer.allocUnsafe(bytes);
  record.copy(out, 0, 0, bodyEnd);
  out.writeInt32BE(bytes, 0);
  out.writeInt32BE(long ? MAGIC_V2 : MAGIC_V1, 4);
  let at = bodyEnd;
  if (long) out[at++] = topic.length >> 8;
  out[at++] = topic.length;
  at += topic.copy(out, at);
  at = out.writeUInt16BE(property.length + own.length, at);
  at += property.copy(out, at);
  own.copy(out, at);
  return out;
}

function hasProperty(properties: Buffer, name: string): boolean {
  const key = `${name}\u0001`;
  return properties.subarray(0, key.length).equals(Buffer.from(key)) || properties.includes(`\u0002${key}`);
}
