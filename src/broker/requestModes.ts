/**
 * Whether the members of a group pull or pop a topic, and how many of them share a queue (Apache:
 * MessageRequestModeManager, config/messageRequestMode.json). Topic and group are checked by who sets a mode.
 */
import type { Buffer } from "node:buffer";
import type { Logger } from "../base/log.ts";
import { type RequestMode, readRequestMode } from "../protocol/bodies/assignment.ts";
import { asBean, asMap, readBean, textKey } from "../protocol/bodies/reader.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import type { MetadataFile } from "../store/metadataFile.ts";

export class RequestModes {
  readonly #file: MetadataFile;
  /** By topic, then by group. */
  readonly #table = new Map<string, Map<string, RequestMode>>();

  constructor(file: MetadataFile, log: Logger) {
    this.#file = file;
    const stored = file.load(readStored, (path, reason) =>
      log.error({ file: path, reason }, "request modes not read from this file"),
    );
    for (const [topic, groups] of stored ?? []) this.#table.set(topic, groups);
  }

  get(topic: string, group: string): RequestMode | undefined {
    return this.#table.get(topic)?.get(group);
  }

  /** Sets a mode; resolves when it is on disk. */
  set(mode: RequestMode): Promise<void> {
    let groups = this.#table.get(mode.topic);
    if (groups === undefined) {
      groups = new Map();
      this.#table.set(mode.topic, groups);
    }
    groups.set(mode.consumerGroup, mode);
    return this.#file.write(() => this.encode());
  }

  /** Takes a master's modes over (the body of GET_ALL_MESSAGE_REQUEST_MODE); resolves when they are on disk. */
  follow(body: Buffer): Promise<void> {
    this.#table.clear();
    for (const [topic, groups] of readStored(body.toString())) this.#table.set(topic, groups);
    return this.#file.write(() => this.encode());
  }

  /** The content of messageRequestMode.json, and the body of GET_ALL_MESSAGE_REQUEST_MODE. */
  encode(): string {
    return writeJavaJson({ messageRequestModeMap: this.#table });
  }
}

function readStored(text: string): Map<string, Map<string, RequestMode>> {
  const table = readBean("MessageRequestModeManager", text).map(
    "messageRequestModeMap",
    textKey,
    asMap(textKey, asBean(readRequestMode)),
  );
  return table ?? new Map();
}
