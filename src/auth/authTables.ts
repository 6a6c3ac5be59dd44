/**
 * Users and what they may do, in one file, config/auth.json, so that a user and his rights come and go together (Apache:
 * AuthenticationMetadataManagerImpl and AuthorizationMetadataManagerImpl on two RocksDB stores). Every change is on disk
 * before it is answered. Passwords are kept as they are, because a signature can only be checked with the password itself.
 * Refuses, with Apache's words, what Apache refuses; a file that exists and cannot be read ends the start: a server that
 * forgot its users would let the first one in who knows the initial password.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { AUTH_ENTRIES_MAX, AUTH_USERS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import { TableFile } from "../broker/tableFile.ts";
import { ConfigError } from "../config/index.ts";
import { type AclInfo, readAclInfo, readUserInfo, type UserInfo } from "../protocol/bodies/auth.ts";
import { asBean, readBean } from "../protocol/bodies/reader.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import type { MetadataFile } from "../store/metadataFile.ts";
import {
  AuthError,
  aclInfoOf,
  mergePolicies,
  POLICY_TYPES,
  type Policy,
  policiesOf,
  withoutEntry,
} from "./policies.ts";
import { byName, parseResource, resourceKey } from "./resources.ts";

export const USER_TYPES = ["Super", "Normal"] as const;
export const USER_STATUSES = ["enable", "disable"] as const;

export interface User {
  readonly username: string;
  readonly password: string;
  readonly type: (typeof USER_TYPES)[number];
  readonly status: (typeof USER_STATUSES)[number];
  readonly policies: readonly Policy[];
}

/** What requests are decided by. */
export interface Users {
  /** Grows with every change: whoever remembers a decision forgets it then. */
  readonly version: number;
  find(username: string): User | undefined;
  /** Where users are somebody else's: a promise while this one is being asked for, so that `find` knows him then. */
  whenKnown?(username: string): Promise<void> | undefined;
}

const SUBJECT = "User:";

export class AuthTables implements Users {
  readonly #table = new Map<string, User>();
  readonly #file: TableFile;
  version = 0;

  /** @throws ConfigError when the file is there and cannot be read */
  constructor(file: MetadataFile, clock: Clock, log: Logger) {
    const reasons: string[] = [];
    const stored = file.load(readStored, (path, reason) => {
      reasons.push(`${path}: ${reason}`);
      log.error({ file: path, reason }, "users not read from this file");
    });
    if (stored === undefined && reasons.length > 0) {
      throw new ConfigError([`users and rights cannot be read: ${reasons.join("; ")}`]);
    }
    for (const user of stored ?? []) this.#table.set(user.username, user);
    this.#file = new TableFile(file, () => this.#encode(), clock, log);
  }

  find(username: string): User | undefined {
    return this.#table.get(username);
  }

  get size(): number {
    return this.#table.size;
  }

  /** Names that contain `filter`, in the order of their bytes. */
  list(filter: string | undefined): User[] {
    return [...this.#table.values()]
      .filter(({ username }) => isBlank(filter) || username.includes(filter as string))
      .sort((a, b) => Buffer.compare(Buffer.from(a.username), Buffer.from(b.username)));
  }

  /** @throws AuthError */
  createUser(info: UserInfo): Promise<void> {
    const { username, password } = info;
    if (isBlank(username)) throw new AuthError("username can not be blank");
    if (isBlank(password)) throw new AuthError("password can not be blank");
    if (this.#table.has(username as string)) throw new AuthError("The user is existed");
    if (this.#table.size >= AUTH_USERS_MAX) throw new AuthError(`there are ${AUTH_USERS_MAX} users, which is the most`);
    return this.#put({
      username: username as string,
      password: password as string,
      type: byName(USER_TYPES, info.userType) ?? "Normal",
      status: byName(USER_STATUSES, info.userStatus) ?? "enable",
      policies: [],
    });
  }

  /** Changes what `info` names. @throws AuthError */
  updateUser(info: UserInfo): Promise<void> {
    if (isBlank(info.username)) throw new AuthError("username can not be blank");
    const old = this.#table.get(info.username as string);
    if (old === undefined) throw new AuthError("The user is not exist");
    return this.#put({
      ...old,
      password: isBlank(info.password) ? old.password : (info.password as string),
      type: byName(USER_TYPES, info.userType) ?? old.type,
      status: byName(USER_STATUSES, info.userStatus) ?? old.status,
    });
  }

  /** Deletes a user and his rights; nothing when there is no such user. */
  deleteUser(username: string): Promise<void> {
    if (!this.#table.delete(username)) return Promise.resolve();
    return this.#changed();
  }

  /** Adds rights to those that a user has, for which createAcl and updateAcl are two names. @throws AuthError */
  putAcl(subject: string | undefined, info: AclInfo): Promise<void> {
    const name = usernameOf(subject);
    if (name === undefined) throw new AuthError("The subject type is null.");
    const next = policiesOf(info);
    const user = this.#table.get(name);
    if (user === undefined) throw new AuthError(`The subject of ${SUBJECT}${name} is not exist.`);
    const policies = user.policies.length === 0 ? next : mergePolicies(user.policies, next);
    if (policies.reduce((sum, { entries }) => sum + entries.length, 0) > AUTH_ENTRIES_MAX) {
      throw new AuthError(`a user may have ${AUTH_ENTRIES_MAX} policy entries at most`);
    }
    return this.#put({ ...user, policies });
  }

  /** Deletes a user's rights on `resource`, or all of them without one. @throws AuthError */
  deleteAcl(subject: string | undefined, policyType: string | undefined, resource: string | undefined): Promise<void> {
    const name = usernameOf(subject);
    if (name === undefined) throw new AuthError("The subject is null.");
    const user = this.#table.get(name);
    if (user === undefined) throw new AuthError("The subject is not exist.");
    if (user.policies.length === 0) throw new AuthError("The acl is not exist.");
    const on = parseResource(resource);
    const type = byName(POLICY_TYPES, policyType) ?? "Custom";
    return this.#put({ ...user, policies: on === undefined ? [] : withoutEntry(user.policies, type, on) });
  }

  /** A user's rights; undefined when he has none. @throws AuthError */
  getAcl(subject: string | undefined): AclInfo | undefined {
    const name = usernameOf(subject);
    const user = name === undefined ? undefined : this.#table.get(name);
    if (user === undefined) throw new AuthError("The subject is not exist.");
    return user.policies.length === 0 ? undefined : aclInfoOf(SUBJECT + user.username, user.policies);
  }

  /** Rights of the users whose key contains `subjectFilter`, on resources whose key contains `resourceFilter`. */
  listAcl(subjectFilter: string | undefined, resourceFilter: string | undefined): AclInfo[] {
    const found: AclInfo[] = [];
    for (const user of this.list(undefined)) {
      const subject = SUBJECT + user.username;
      if (!isBlank(subjectFilter) && !subject.includes(subjectFilter as string)) continue;
      // Apache's own: a filter that the subject contains filters no resources.
      const all = isBlank(resourceFilter) || subject.includes(resourceFilter as string);
      const policies = user.policies
        .map(({ type, entries }) => ({
          type,
          entries: entries.filter(({ resource }) => all || resourceKey(resource).includes(resourceFilter as string)),
        }))
        .filter(({ entries }) => entries.length > 0);
      if (policies.length > 0) found.push(aclInfoOf(subject, policies));
    }
    return found;
  }

  /** Takes a master's users and rights over; resolves when they are on disk, and does nothing when they are these already. */
  follow(users: readonly UserInfo[], acls: readonly AclInfo[]): Promise<void> {
    const before = this.#encode();
    const next = readAll(users, acls);
    this.#table.clear();
    for (const user of next) this.#table.set(user.username, user);
    return this.#encode() === before ? Promise.resolve() : this.#changed();
  }

  /** The last write. */
  stop(): Promise<void> {
    return this.#file.stop();
  }

  #put(user: User): Promise<void> {
    this.#table.set(user.username, user);
    return this.#changed();
  }

  #changed(): Promise<void> {
    this.version++;
    this.#file.save();
    return this.#file.saved();
  }

  #encode(): string {
    const users = this.list(undefined);
    return writeJavaJson({
      users: users.map(({ username, password, type, status }) => ({
        username,
        password,
        userType: type,
        userStatus: status,
      })),
      acls: users
        .filter(({ policies }) => policies.length > 0)
        .map(({ username, policies }) => aclInfoOf(SUBJECT + username, policies)),
    });
  }
}

/** The user that a subject such as `User:name` is; undefined when it is none. */
export function usernameOf(subject: string | undefined): string | undefined {
  const colon = subject?.indexOf(":") ?? -1;
  if (subject === undefined || subject.slice(0, colon < 0 ? undefined : colon).toLowerCase() !== "user")
    return undefined;
  return colon < 0 ? "" : subject.slice(colon + 1);
}

function readStored(text: string): User[] {
  const bean = readBean("auth.json", text);
  return readAll(bean.list("users", asBean(readUserInfo)) ?? [], bean.list("acls", asBean(readAclInfo)) ?? []);
}

function readAll(users: readonly UserInfo[], acls: readonly AclInfo[]): User[] {
  const policies = new Map(acls.map((acl) => [usernameOf(acl.subject), policiesOf(acl)]));
  return users.map((info) => storedUser(info, policies.get(info.username ?? "") ?? []));
}

/** A user as somebody else keeps him. */
export function storedUser(
  { username = "", password = "", userType, userStatus }: UserInfo,
  policies: readonly Policy[],
): User {
  return {
    username,
    password,
    // What cannot be read must not give more rights than there were.
    type: byName(USER_TYPES, userType) ?? "Normal",
    status: byName(USER_STATUSES, userStatus) ?? "disable",
    policies,
  };
}

function isBlank(text: string | undefined): boolean {
  return text === undefined || text.trim() === "";
}
