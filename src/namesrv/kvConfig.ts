/**
 * Key-value configuration by namespace (ORDER_TOPIC_CONFIG and the operator's own), kept in kvConfig.json as
 * `{"configTable":{"namespace":{"key":"value"}}}`. Mirrors KVConfigManager, which answers success when the file cannot be
 * written; here a change that is not on disk is refused with the reason (it stays in memory until the next start).
 */
import { asMap, readBean, textKey, toText } from "../protocol/bodies/reader.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";

/** NamesrvUtil.NAMESPACE_ORDER_TOPIC_CONFIG: topic to `broker:queues;broker:queues`. */
export const ORDER_TOPIC_CONFIG = "ORDER_TOPIC_CONFIG";

/** A small text file that is replaced whole; `MetadataFile` of the store is one. */
export interface TextFile {
  /** What `parse` makes of the file (or of its back-up); undefined when there is none that parses. */
  load<T>(parse: (text: string) => T, onDamage?: (file: string, reason: string) => void): T | undefined;
  /** Resolves when the content is durable; `content` is asked when the write begins. */
  write(content: () => string): Promise<void>;
}

type Namespaces = Map<string, Map<string, string>>;

export class KvConfig {
  readonly #file: TextFile;
  #namespaces: Namespaces = new Map();

  constructor(file: TextFile) {
    this.#file = file;
  }

  load(onDamage: (file: string, reason: string) => void): void {
    this.#namespaces = this.#file.load(parse, onDamage) ?? new Map();
  }

  get(namespace: string, key: string): string | undefined {
    return this.#namespaces.get(namespace)?.get(key);
  }

  /** All entries of a namespace; undefined when it never had one (an emptied one is an empty map, as in Apache). */
  list(namespace: string): ReadonlyMap<string, string> | undefined {
    return this.#namespaces.get(namespace);
  }

  /** Rejects when the change could not be written. */
  put(namespace: string, key: string, value: string): Promise<void> {
    const entries = this.#namespaces.get(namespace);
    if (entries === undefined) this.#namespaces.set(namespace, new Map([[key, value]]));
    else entries.set(key, value);
    return this.#persist();
  }

  /** Rejects when the change could not be written; an absent key is fine. */
  delete(namespace: string, key: string): Promise<void> {
    this.#namespaces.get(namespace)?.delete(key);
    return this.#persist();
  }

  #persist(): Promise<void> {
    return this.#file.write(() => writeJavaJson({ configTable: this.#namespaces }));
  }
}

function parse(text: string): Namespaces {
  return readBean("KVConfigSerializeWrapper", text).map("configTable", textKey, asMap(textKey, toText)) ?? new Map();
}
