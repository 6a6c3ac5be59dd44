/**
 * Signatures of requests. Remoting: HMAC-SHA1, in Base64, of the values of all extension fields but the signature itself, in the order of
 * their names, and the body (Apache: AclUtils.combineRequestContent, DefaultAuthenticationContextBuilder). gRPC: HMAC-SHA1, in hex,
 * of the date header. Nothing here tells by its time how much of a signature was right.
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { MQVersion } from "../protocol/generated/versions.ts";
import type { HeaderView } from "../protocol/headerView.ts";

export const ACCESS_KEY = "AccessKey";
export const SIGNATURE = "Signature";
export const SECURITY_TOKEN = "SecurityToken";

/** Clients up to this version set the field after they signed. */
const UNIQUE_QUERY_FLAG = "_UNIQUE_KEY_QUERY";
const UNSIGNED_UP_TO = MQVersion.V4_9_3;

/** The values of one request in signing order; reused from request to request. */
let content = Buffer.allocUnsafe(4096);
let order = new Int32Array(64);

/** The signature that a request of whoever knows `password` carries. */
export function signatureOf(view: HeaderView, body: Buffer, password: string): string {
  const length = gather(view);
  const hmac = createHmac("sha1", password).update(content.subarray(0, length));
  if (body.length > 0) hmac.update(body);
  return hmac.digest("base64");
}

/** Whether two signatures are one. */
export function sameSignature(expected: string, given: string): boolean {
  if (expected.length !== given.length) return false;
  return timingSafeEqual(Buffer.from(expected, "latin1"), Buffer.from(given, "latin1"));
}

/** Signature of `data`, in lower-case hex. */
export function hexSignatureOf(data: string, password: string): string {
  return createHmac("sha1", password).update(data).digest("hex");
}

/** Fields with a signature, as AclClientRPCHook adds it. Numbers and booleans are signed as the text that they travel as. */
export function signedFields(
  fields: Record<string, string | number | boolean | undefined> | undefined,
  body: Buffer | string | undefined,
  credentials: Credentials,
): Record<string, string | number | boolean | undefined> {
  const signed: Record<string, string | number | boolean | undefined> = {
    ...fields,
    [ACCESS_KEY]: credentials.accessKey,
    ...(credentials.securityToken === undefined ? {} : { [SECURITY_TOKEN]: credentials.securityToken }),
  };
  const names = Object.keys(signed).filter((name) => signed[name] !== undefined && name !== SIGNATURE);
  const hmac = createHmac("sha1", credentials.secretKey);
  hmac.update(
    names
      .sort()
      .map((name) => String(signed[name]))
      .join(""),
  );
  if (body !== undefined && body.length > 0) hmac.update(body);
  signed[SIGNATURE] = hmac.digest("base64");
  return signed;
}

/** What this process signs its own requests with. */
export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly securityToken: string | undefined;
}

/** Copies the values into `content` in the order of their names; returns how many bytes they are. */
function gather(view: HeaderView): number {
  const count = sortFields(view);
  const { buf, valueStart, valueEnd } = view;
  let bytes = 0;
  for (let i = 0; i < count; i++) bytes += valueEnd[order[i]] - valueStart[order[i]];
  if (content.length < bytes) content = Buffer.allocUnsafe(bytes * 2);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const field = order[i];
    // Of a name that comes twice the last value counts, as in a Java map.
    if (i + 1 < count && compareKeys(view, field, order[i + 1]) === 0) continue;
    if (view.isNamed(field, SIGNATURE)) continue;
    if (view.version <= UNSIGNED_UP_TO && view.isNamed(field, UNIQUE_QUERY_FLAG)) continue;
    at += buf.copy(content, at, valueStart[field], valueEnd[field]);
  }
  return at;
}

/** Stable, by insertion: twenty names, most of which come sorted. */
function sortFields(view: HeaderView): number {
  const { count } = view;
  if (order.length < count) order = new Int32Array(count * 2);
  for (let i = 0; i < count; i++) {
    let at = i;
    while (at > 0 && compareKeys(view, order[at - 1], i) > 0) {
      order[at] = order[at - 1];
      at--;
    }
    order[at] = i;
  }
  return count;
}

/**
 * By bytes. That is Java's order of strings but where one name has a character beyond U+FFFF and another one between U+E000 and
 * U+FFFF at the same place, and no client has such names.
 */
function compareKeys({ buf, keyStart, keyEnd }: HeaderView, a: number, b: number): number {
  let x = keyStart[a];
  let y = keyStart[b];
  while (x < keyEnd[a] && y < keyEnd[b]) {
    const difference = buf[x++] - buf[y++];
    if (difference !== 0) return difference;
  }
  return keyEnd[a] - x - (keyEnd[b] - y);
}
