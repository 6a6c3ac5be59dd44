/**
 * Topics that are to be there from the start: what `skylark start --topics FILE` and `startCluster({ topics })` say, and how it is applied.
 *
 *     ["Orders", {"name": "Jobs", "queues": 4, "type": "DELAY", "perm": "RW"}]      also as {"topics": [...]}
 *
 * A declared topic is created, or changed to what is declared; what the declaration leaves out stays as it is (8 queues, read and write, no
 * message type for a new one). Topics that are not declared are left alone. Refuses wrong declarations as a whole, with every
 * problem at once (ConfigError), before anything is changed.
 */
import { TOPIC_QUEUES_MAX } from "../base/limits.ts";
import { ConfigError } from "../config/index.ts";
import { nearestKey } from "../config/nearest.ts";
import { newTopicConfig, PERM_READ, PERM_WRITE, type TopicConfig } from "../protocol/bodies/topicConfig.ts";
import { MESSAGE_TYPE } from "./attributes.ts";
import { isRetryOrDlq, topicNameProblem } from "./names.ts";
import type { Topics } from "./topics.ts";

/** One topic. */
export interface TopicDeclaration {
  name: string;
  /** Queues to write to and to read from. */
  queues?: number;
  /** `message.type`: what kind of messages 5.x clients may send to it. */
  type?: (typeof MESSAGE_TYPES)[number];
  /** What clients may do: "R" (4), "W" (2), "RW" (6). */
  perm?: "R" | "W" | "RW" | 2 | 4 | 6;
}

const MESSAGE_TYPES = ["UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "PRIORITY", "LITE", "MIXED"] as const;
const PERMS: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  ["R", PERM_READ],
  ["W", PERM_WRITE],
  ["RW", PERM_READ | PERM_WRITE],
  [PERM_READ, PERM_READ],
  [PERM_WRITE, PERM_WRITE],
  [PERM_READ | PERM_WRITE, PERM_READ | PERM_WRITE],
]);
const KEYS = ["name", "queues", "type", "perm"];
const QUEUES = 8;

/** A declaration that has been checked. */
export interface DeclaredTopic {
  name: string;
  queues: number | undefined;
  type: string | undefined;
  /** PermName bits. */
  perm: number | undefined;
}

/** Reads the text of a file. @param source how messages call it @throws ConfigError naming each problem and its place */
export function parseDeclaredTopics(text: string, source: string): DeclaredTopic[] {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new ConfigError([`${source}: not JSON: ${placed((error as Error).message, text)}`]);
  }
  return checkDeclaredTopics(value, source);
}

/** Checks what was given as an object. @param source how messages call it @throws ConfigError naming each problem */
export function checkDeclaredTopics(value: unknown, source: string): DeclaredTopic[] {
  const list = isObject(value) && "topics" in value ? value.topics : value;
  const problems: string[] = [];
  if (isObject(value) && list !== value) problems.push(...unknownKeys(value, ["topics"], source));
  if (!Array.isArray(list)) {
    throw new ConfigError([...problems, `${source}: ${show(list)} is no list of topics ([...] or {"topics": [...]})`]);
  }
  const declared = list.map((item, i) => check(item, `${source}: topic ${i + 1}`, problems));
  const places = new Map<string, number>();
  for (const [i, topic] of declared.entries()) {
    if (topic === undefined) continue;
    const before = places.get(topic.name);
    if (before === undefined) places.set(topic.name, i + 1);
    else problems.push(`${source}: topic ${i + 1} (${topic.name}): declared already as topic ${before}`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return declared.filter((topic) => topic !== undefined);
}

function check(item: unknown, place: string, problems: string[]): DeclaredTopic | undefined {
  const given = typeof item === "string" ? { name: item } : item;
  if (!isObject(given)) {
    problems.push(`${place}: ${show(given)} is neither a name nor {"name": ...}`);
    return undefined;
  }
  const where = typeof given.name === "string" ? `${place} (${given.name})` : place;
  const wrong = (problem: string) => problems.push(`${where}: ${problem}`);
  problems.push(...unknownKeys(given, KEYS, where));
  const { name, queues, type, perm } = given;
  if (typeof name !== "string") {
    wrong(name === undefined ? "name is missing" : `name ${show(name)} is no text`);
    return undefined;
  }
  const nameProblem = topicNameProblem(name);
  if (nameProblem !== undefined) wrong(nameProblem);
  else if (isRetryOrDlq(name)) wrong("retry and dead-letter topics are made by the broker");
  if (queues !== undefined && !isQueueCount(queues)) {
    wrong(`queues ${show(queues)} is no whole number from 1 to ${TOPIC_QUEUES_MAX}`);
  }
  if (type !== undefined && !MESSAGE_TYPES.some((known) => known === type)) {
    wrong(`type ${show(type)} is none of ${MESSAGE_TYPES.join(", ")}`);
  }
  if (perm !== undefined && !PERMS.has(perm)) wrong(`perm ${show(perm)} is none of "R", "W", "RW", 4, 2, 6`);
  return {
    name,
    queues: queues as number | undefined,
    type: type as string | undefined,
    perm: PERMS.get(perm),
  };
}

/**
 * Makes the topics what they are declared to be. Resolves when they are on disk.
 * @throws ConfigError when one of them cannot be so on this broker; nothing is changed then
 */
export async function declareTopics(
  topics: Topics,
  declared: readonly DeclaredTopic[],
  options: { readonly enableMixedMessageType: boolean },
): Promise<void> {
  const problems: string[] = [];
  for (const { name, type } of declared) {
    if (topics.isSystem(name)) problems.push(`topic ${name} cannot be declared: it is a system topic`);
    if (type === "MIXED" && !options.enableMixedMessageType) {
      problems.push(`topic ${name}: type MIXED needs enableMixedMessageType=true`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const changes = declared.map((one) => changeTo(one, topics.get(one.name))).filter((change) => change !== undefined);
  if (changes.length === 0) return;
  topics.update(changes);
  await topics.saved();
}

/** What `Topics.update` is to be given; undefined when the topic is as declared. */
function changeTo({ name, queues, type, perm }: DeclaredTopic, now: TopicConfig | undefined): TopicConfig | undefined {
  const base = now ?? newTopicConfig(name, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
  const change: TopicConfig = {
    ...base,
    readQueueNums: queues ?? base.readQueueNums,
    writeQueueNums: queues ?? base.writeQueueNums,
    perm: perm ?? base.perm,
    attributes: type === undefined ? new Map() : new Map([[`+${MESSAGE_TYPE}`, type]]),
  };
  const same =
    now !== undefined &&
    change.readQueueNums === now.readQueueNums &&
    change.writeQueueNums === now.writeQueueNums &&
    change.perm === now.perm &&
    (type === undefined || now.attributes.get(MESSAGE_TYPE) === type);
  return same ? undefined : change;
}

function unknownKeys(given: object, known: readonly string[], where: string): string[] {
  return Object.keys(given)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const meant = nearestKey(key, known);
      return `${where}: unknown key ${JSON.stringify(key)}${meant === undefined ? ` (known: ${known.join(", ")})` : `, did you mean ${JSON.stringify(meant)}?`}`;
    });
}

function isQueueCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= TOPIC_QUEUES_MAX;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** At most sixty characters of a value as JSON. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

/** JSON.parse's reason with line and column, which it names in newer Nodes only. */
function placed(reason: string, text: string): string {
  const position = /at position (\d+)/.exec(reason)?.[1];
  if (position === undefined || reason.includes("(line ")) return reason;
  const before = text.slice(0, Number(position)).split("\n");
  return `${reason} (line ${before.length} column ${(before.at(-1) as string).length + 1})`;
}
