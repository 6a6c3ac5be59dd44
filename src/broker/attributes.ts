/**
 * Attributes of topics and groups: which exist, what values they take, and how `+key=value` / `-key` changes a set of
 * them (Apache: TopicAttributes, SubscriptionGroupAttributes, AttributeParser, AttributeUtil). Pure. A change that is
 * not allowed throws an Error with Apache's message, which becomes the remark of the reply.
 */

interface Attribute {
  /** Whether it may change after creation. */
  changeable: boolean;
  /** Throws when the value is not one of the attribute's. */
  verify(value: string): void;
}

export type AttributeSet = ReadonlyMap<string, Attribute>;

const LONG_MAX = 2 ** 63 - 1;

/** `values` stand as Java's HashSet prints them in the remark. */
function oneOf(...values: string[]): (value: string) => void {
  return (value) => {
    if (!values.includes(value)) throw new Error(`value is not in set: [${values.join(", ")}]`);
  };
}

function longRange(min: number, max: number): (value: string) => void {
  return (value) => {
    if (!/^[+-]?\d+$/.test(value)) throw new Error(`For input string: "${value}"`);
    const n = Number(value);
    const shown = max === LONG_MAX ? "9223372036854775807" : String(max);
    if (n < min || n > max) throw new Error(`value is not in range(${min}, ${shown})`);
  };
}

function boolean(value: string): void {
  if (!/^(true|false)$/i.test(value)) throw new Error("boolean attribute format is wrong.");
}

const anyString = (): void => {};

export const MESSAGE_TYPE = "message.type";

export const TOPIC_ATTRIBUTES: AttributeSet = new Map([
  ["queue.type", { changeable: false, verify: oneOf("SimpleCQ", "BatchCQ") }],
  ["cleanup.policy", { changeable: false, verify: oneOf("DELETE", "COMPACTION") }],
  [
    MESSAGE_TYPE,
    {
      changeable: true,
      // In the order of Apache's remark, which is that of a HashSet.
      verify: oneOf("UNSPECIFIED", "MIXED", "TRANSACTION", "PRIORITY", "FIFO", "DELAY", "LITE", "NORMAL"),
    },
  ],
  ["reserve.time", { changeable: true, verify: longRange(-1, LONG_MAX) }],
  ["lite.topic.expiration", { changeable: true, verify: longRange(-1, 30 * 24 * 60) }],
]);

export const GROUP_ATTRIBUTES: AttributeSet = new Map([
  ["priority.factor", { changeable: true, verify: longRange(0, 100) }],
  ["lite.bind.topic", { changeable: true, verify: anyString }],
  ["lite.sub.model", { changeable: true, verify: oneOf("Shared", "Exclusive") }],
  ["lite.sub.reset.offset.exclusive", { changeable: true, verify: boolean }],
  ["lite.sub.reset.offset.unsubscribe", { changeable: true, verify: boolean }],
  ["lite.sub.client.quota", { changeable: true, verify: longRange(-1, LONG_MAX) }],
  ["lite.sub.client.max.event.cnt", { changeable: true, verify: longRange(10, LONG_MAX) }],
  ["lite.sub.wildcard", { changeable: true, verify: anyString }],
]);

/** Parses `+key1=value1,-key2` into changes by signed key (the form of CREATE_TOPIC's `attributes` field). */
export function parseAttributeChanges(text: string | undefined): Map<string, string> {
  const changes = new Map<string, string>();
  if (!text) return changes;
  for (const part of text.split(",")) {
    let key = part;
    let value = "";
    if (part.includes("=")) {
      [key, value] = part.split("=");
      if (value === "") throw new Error("Index 1 out of bounds for length 1");
      if (!key.includes("+")) throw new Error(`add/alter attribute format is wrong: ${key}`);
    } else if (!key.includes("-")) {
      throw new Error(`delete attribute format is wrong: ${key}`);
    }
    if (changes.has(key)) throw new Error(`key duplication: ${key}`);
    changes.set(key, value);
  }
  return changes;
}

/**
 * Applies signed changes to the current attributes and returns the new set.
 * @param create the owner does not exist yet: only additions are allowed, and unchangeable attributes may be set
 */
export function alterAttributes(
  create: boolean,
  known: AttributeSet,
  current: ReadonlyMap<string, string>,
  changes: ReadonlyMap<string, string>,
): Map<string, string> {
  const next = new Map(current);
  const seen = new Set<string>();
  const checks: (() => void)[] = [];
  for (const [signed, value] of changes) {
    const key = signed.slice(1);
    if (key === "" || key.includes("+") || key.includes("-")) throw new Error("kv string format wrong.");
    if (seen.has(key)) throw new Error(`alter duplication key. key: ${key}`);
    seen.add(key);
    const removes = signed.startsWith("-");
    if (create && !signed.startsWith("+")) {
      throw new Error(`only add attribute is supported while creating topic. key: ${key}`);
    }
    if (!removes && !signed.startsWith("+")) throw new Error(`wrong format key: ${key}`);
    if (removes && !current.has(key)) throw new Error(`attempt to delete a nonexistent key: ${key}`);
    checks.push(() => {
      const attribute = known.get(key);
      if (attribute === undefined) throw new Error(`unsupported key: ${key}`);
      if (!create && !attribute.changeable) {
        throw new Error(`attempt to update an unchangeable attribute. key: ${key}`);
      }
      if (!removes) attribute.verify(value);
    });
    if (removes) next.delete(key);
    else next.set(key, value);
  }
  // Apache looks at the form of every key before it looks at any value.
  for (const check of checks) check();
  return next;
}
