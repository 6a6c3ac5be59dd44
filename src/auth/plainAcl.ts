/**
 * ACL 1.0, as RocketMQ 4 has it: conf/plain_acl.yml and conf/acl/*.yml (Apache: PlainPermissionManager of 4.x, and
 * PlainPermissionManager and AuthMigrator of 5.5.0, which convert it). Accounts become users and their permissions policies, so that
 * one decision serves both; only white addresses, which ACL 2.0 does not have, stay what they were.
 *
 * What differs from 4.x: an admin account may do everything (there, permissions of its own restrict it), which is also what Apache's
 * conversion makes of it; and who is no admin may not ask for what belongs to the whole broker, which 4.x lets any account do.
 * Refuses a wrong file as a whole, with file, line and reason.
 */
import type { Action } from "../protocol/access.ts";
import type { User, Users } from "./authTables.ts";
import type { Policy, PolicyEntry } from "./policies.ts";
import type { ResourceType } from "./resources.ts";
import { type AddressPattern, addressPattern } from "./whiteAddresses.ts";
import { type Mapping, parseYaml, type Yaml, YamlError } from "./yaml.ts";

/** Shorter keys are refused, as in 4.x. */
const KEY_CHARS_MIN = 7;

const PERMS = new Map<string, readonly Action[] | "deny">([
  ["PUB", ["Pub"]],
  ["SUB", ["Sub"]],
  ["PUB|SUB", ["Pub", "Sub"]],
  ["SUB|PUB", ["Pub", "Sub"]],
  ["DENY", "deny"],
]);
const FILE_KEYS = ["globalWhiteRemoteAddresses", "accounts", "dataVersion"];
const ACCOUNT_KEYS = [
  "accessKey",
  "secretKey",
  "whiteRemoteAddress",
  "admin",
  "defaultTopicPerm",
  "defaultGroupPerm",
  "topicPerms",
  "groupPerms",
];

export interface PlainAccount {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly admin: boolean;
  readonly whiteRemoteAddress: string;
  readonly policies: readonly Policy[];
  /** Where it stands, `file:line`. */
  readonly place: string;
}

export interface PlainAcl {
  readonly globalWhite: readonly string[];
  readonly accounts: readonly PlainAccount[];
}

/** A file of it that cannot be used; the message begins with `file:line`. */
export class PlainAclError extends Error {}

/** All files as one. Of an account that stands in several files, the first counts, as in Apache. @throws PlainAclError */
export function readPlainAcl(files: readonly { path: string; text: string }[]): PlainAcl {
  const globalWhite: string[] = [];
  const accounts = new Map<string, PlainAccount>();
  for (const { path, text } of files) {
    try {
      const file = parseYaml(text);
      onlyKeys(file, FILE_KEYS);
      for (const address of texts(file.entries.get("globalWhiteRemoteAddresses"))) {
        checkAddress(address.text, address.line);
        globalWhite.push(address.text);
      }
      for (const item of items(file.entries.get("accounts"))) {
        const account = accountOf(item, path);
        if (!accounts.has(account.accessKey)) accounts.set(account.accessKey, account);
      }
    } catch (error) {
      if (error instanceof YamlError) throw new PlainAclError(`${path}:${error.line}: ${error.message}`);
      throw error;
    }
  }
  return { globalWhite, accounts: [...accounts.values()] };
}

function accountOf(item: Yaml, path: string): PlainAccount {
  if (item.kind !== "map") throw new YamlError(item.line, "an account must be a mapping");
  onlyKeys(item, ACCOUNT_KEYS);
  const { entries, line } = item;
  const accessKey = keyOf(item, "accessKey");
  const secretKey = keyOf(item, "secretKey");
  const white = text(entries.get("whiteRemoteAddress"));
  if (white.text !== "") checkAddress(white.text, white.line);
  const admin = text(entries.get("admin"));
  if (!["", "true", "false"].includes(admin.text)) throw new YamlError(admin.line, "admin must be true or false");
  const custom = [...permsOf(entries.get("topicPerms"), "Topic"), ...permsOf(entries.get("groupPerms"), "Group")];
  const byDefault = [
    ...defaultOf(entries.get("defaultTopicPerm"), "Topic"),
    ...defaultOf(entries.get("defaultGroupPerm"), "Group"),
  ];
  const policies: Policy[] = [];
  if (custom.length > 0) policies.push({ type: "Custom", entries: custom });
  if (byDefault.length > 0) policies.push({ type: "Default", entries: byDefault });
  return {
    accessKey,
    secretKey,
    admin: admin.text === "true",
    whiteRemoteAddress: white.text,
    policies,
    place: `${path}:${line}`,
  };
}

function keyOf({ entries, line }: Mapping, name: string): string {
  const value = text(entries.get(name));
  if (value.text.length < KEY_CHARS_MIN) {
    throw new YamlError(value.line || line, `${name} must have more than ${KEY_CHARS_MIN - 1} characters`);
  }
  return value.text;
}

/** `name=PUB|SUB` lines. */
function permsOf(list: Yaml | undefined, type: ResourceType): PolicyEntry[] {
  return texts(list).map(({ text: perm, line }) => {
    const [name, right, ...more] = perm.split("=").map((part) => part.trim());
    if (right === undefined || more.length > 0 || name === "") {
      throw new YamlError(line, `${type.toLowerCase()}Perms must be name=PUB, SUB, PUB|SUB or DENY`);
    }
    return entryOf(type, name, right, line);
  });
}

function defaultOf(perm: Yaml | undefined, type: ResourceType): PolicyEntry[] {
  const { text: right, line } = text(perm);
  return right === "" ? [] : [entryOf(type, undefined, right, line)];
}

function entryOf(type: ResourceType, name: string | undefined, right: string, line: number): PolicyEntry {
  const actions = PERMS.get(right);
  if (actions === undefined) throw new YamlError(line, `${right} is none of PUB, SUB, PUB|SUB, DENY`);
  const resource = { type, name, pattern: name === undefined ? ("ANY" as const) : ("LITERAL" as const) };
  return actions === "deny"
    ? { resource, actions: ["All"], sourceIps: undefined, decision: "Deny" }
    : { resource, actions, sourceIps: undefined, decision: "Allow" };
}

function checkAddress(address: string, line: number): void {
  if (addressPattern(address) === undefined)
    throw new YamlError(line, `${address} is no address and no pattern of addresses`);
}

function onlyKeys({ entries }: Mapping, keys: readonly string[]): void {
  for (const [key, { line }] of entries) {
    if (!keys.includes(key)) throw new YamlError(line, `${key} is none of ${keys.join(", ")}`);
  }
}

function items(value: Yaml | undefined): readonly Yaml[] {
  if (value === undefined || (value.kind === "scalar" && value.text === "")) return [];
  if (value.kind !== "list") throw new YamlError(value.line, "must be a list");
  return value.items;
}

function texts(value: Yaml | undefined): { text: string; line: number }[] {
  return items(value).map(text);
}

function text(value: Yaml | undefined): { text: string; line: number } {
  if (value === undefined) return { text: "", line: 0 };
  if (value.kind !== "scalar") throw new YamlError(value.line, "must be a single value");
  return { text: value.text, line: value.line };
}

/** Accounts as users, with their white addresses; replaced as a whole when the files change. */
export class PlainUsers implements Users {
  version = 0;
  #users = new Map<string, User>();
  #global: readonly AddressPattern[] = [];
  #own = new Map<string, AddressPattern>();

  constructor(acl: PlainAcl) {
    this.replace(acl);
  }

  replace({ globalWhite, accounts }: PlainAcl): void {
    this.version++;
    this.#global = patternsOf(globalWhite);
    this.#users = new Map();
    this.#own = new Map();
    for (const { accessKey, secretKey, admin, policies, whiteRemoteAddress } of accounts) {
      this.#users.set(accessKey, {
        username: accessKey,
        password: secretKey,
        type: admin ? "Super" : "Normal",
        status: "enable",
        policies: policies.map(withGet),
      });
      const [own] = patternsOf([whiteRemoteAddress]);
      if (own !== undefined) this.#own.set(accessKey, own);
    }
  }

  find(username: string): User | undefined {
    return this.#users.get(username);
  }

  /** Whether a request needs no signature and no right: by where it comes from, or where its account may come from. */
  isWhite(ip: string, username: string | undefined): boolean {
    if (this.#global.some((matches) => matches(ip))) return true;
    return username !== undefined && (this.#own.get(username)?.(ip) ?? false);
  }
}

function patternsOf(addresses: readonly string[]): AddressPattern[] {
  return addresses
    .map((address) => (address === "" ? undefined : addressPattern(address)))
    .filter((pattern): pattern is AddressPattern => pattern !== undefined);
}

/** In 4.x who may publish or consume may also ask how far a queue goes: that is Get here. */
function withGet({ type, entries }: Policy): Policy {
  return {
    type,
    entries: entries.map((entry) =>
      entry.decision === "Deny" ? entry : { ...entry, actions: [...entry.actions, "Get"] },
    ),
  };
}
