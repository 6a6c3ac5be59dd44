/**
 * One pass over a message's property bytes, finding what the send path needs to know without making strings.
 * A message with any property that changes how it is stored is `special` and takes the ordinary (map) path.
 */
import type { Buffer } from "node:buffer";

const NAME_END = 0x01;
const VALUE_END = 0x02;

/** Names that a plain append must not meet: the broker acts on them, replaces them, or must refuse them. */
const SPECIAL_NAMES: readonly string[] = [
  "DELAY",
  "MSG_REGION",
  "TRACE_ON",
  "CLUSTER",
  "POP_CK",
  "TIMER_DELIVER_MS",
  "TIMER_DELAY_SEC",
  "TIMER_DELAY_MS",
  "TIMER_OUT_MS",
  "INNER_MULTI_DISPATCH",
  "INNER_NUM",
  "__PRIORITY",
  "_SYS_MSG_PRIORITY_",
  "LITE_TOPIC",
  "__LITE_TOPIC",
  "__transactionId__",
  "REAL_TOPIC",
  "REAL_QID",
];
const TRANSACTION_PREPARED = new TextEncoder().encode("TRAN_MSG");
const SHARDING_KEY = new TextEncoder().encode("__SHARDINGKEY");
const SPECIAL_BYTES = SPECIAL_NAMES.map((name) => new TextEncoder().encode(name));
/** First bytes of the special names: nearly every ordinary name is dismissed by this table alone. */
const SPECIAL_FIRST = new Uint8Array(256);
for (const bytes of SPECIAL_BYTES) SPECIAL_FIRST[bytes[0]] = 1;

export class PropertyScan {
  /** Value of TAGS, [start, end) in the scanned buffer; start -1 when absent. */
  tagsStart = -1;
  tagsEnd = -1;
  /** Value of KEYS. */
  keysStart = -1;
  keysEnd = -1;
  /** Value of UNIQ_KEY. */
  uniqueStart = -1;
  uniqueEnd = -1;
  /** TRAN_MSG is "true": the half message of a transaction, unless the message is special as well. */
  prepared = false;
  /** Has a sharding key: a message consumed in order. */
  ordered = false;
  /** WAIT is "false": the sender does not wait for the disk under SYNC_FLUSH. */
  noWait = false;
  special = false;

  scan(buf: Buffer, start: number, end: number): void {
    this.tagsStart = -1;
    this.keysStart = -1;
    this.uniqueStart = -1;
    this.noWait = false;
    this.prepared = false;
    this.ordered = false;
    this.special = false;
    let at = start;
    while (at < end) {
      const name = at;
      while (at < end && buf[at] !== NAME_END && buf[at] !== VALUE_END) at++;
      if (at >= end || buf[at] === VALUE_END) {
        // No separator: Apache drops such an entry when it parses, so the bytes must be rewritten.
        if (at > name) this.special = true;
        at++;
        continue;
      }
      const nameEnd = at;
      const value = ++at;
      while (at < end && buf[at] !== VALUE_END) at++;
      // Neither does an entry without a name or a value survive Apache's parsing.
      if (nameEnd === name || value === at) this.special = true;
      this.#entry(buf, name, nameEnd, value, at);
      at++;
    }
  }

  #entry(buf: Buffer, name: number, nameEnd: number, value: number, valueEnd: number): void {
    const length = nameEnd - name;
    const first = buf[name];
    if (length === 4) {
      if (first === 0x54 && buf[name + 1] === 0x41 && buf[name + 2] === 0x47 && buf[name + 3] === 0x53) {
        this.tagsStart = value;
        this.tagsEnd = valueEnd;
        return;
      }
      if (first === 0x4b && buf[name + 1] === 0x45 && buf[name + 2] === 0x59 && buf[name + 3] === 0x53) {
        this.keysStart = value;
        this.keysEnd = valueEnd;
        return;
      }
      if (first === 0x57 && buf[name + 1] === 0x41 && buf[name + 2] === 0x49 && buf[name + 3] === 0x54) {
        this.noWait = valueEnd - value === 5 && (buf[value] | 32) === 0x66;
        return;
      }
    } else if (length === 8) {
      if (first === 0x55 && isUniqueKey(buf, name)) {
        this.uniqueStart = value;
        this.uniqueEnd = valueEnd;
        return;
      }
      if (first === 0x54 && isNamed(buf, name, TRANSACTION_PREPARED)) {
        this.prepared = isTrue(buf, value, valueEnd);
        return;
      }
    }
    if (length === 13 && first === 0x5f && isNamed(buf, name, SHARDING_KEY)) {
      this.ordered = true;
      return;
    }
    if (SPECIAL_FIRST[first] !== 0 && isSpecial(buf, name, length)) this.special = true;
  }
}

/** UNIQ_KEY */
function isUniqueKey(buf: Buffer, at: number): boolean {
  return (
    buf[at + 1] === 0x4e &&
    buf[at + 2] === 0x49 &&
    buf[at + 3] === 0x51 &&
    buf[at + 4] === 0x5f &&
    buf[at + 5] === 0x4b &&
    buf[at + 6] === 0x45 &&
    buf[at + 7] === 0x59
  );
}

function isNamed(buf: Buffer, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (name[i] !== buf[at + i]) return false;
  return true;
}

/** Boolean.parseBoolean: "true" in any case. */
function isTrue(buf: Buffer, start: number, end: number): boolean {
  return (
    end - start === 4 &&
    (buf[start] | 32) === 0x74 &&
    (buf[start + 1] | 32) === 0x72 &&
    (buf[start + 2] | 32) === 0x75 &&
    (buf[start + 3] | 32) === 0x65
  );
}

function isSpecial(buf: Buffer, at: number, length: number): boolean {
  next: for (const bytes of SPECIAL_BYTES) {
    if (bytes.length !== length) continue;
    for (let i = 0; i < length; i++) if (bytes[i] !== buf[at + i]) continue next;
    return true;
  }
  return false;
}
