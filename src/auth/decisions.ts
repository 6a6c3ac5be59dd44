/**
 * The decision about one request, wherever it came from: who is it, and may he (Apache: AuthenticationEvaluator,
 * AuthorizationEvaluator and their handlers). One line in the log per decision: refusals at level info, as Apache's audit log, grants
 * at debug. Whoever is not known and whoever signed wrongly get the same answer after the same work, so nobody learns which
 * users there are.
 */
import { AUTH_REMEMBERED_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { ActionSet, Wants } from "../protocol/access.ts";
import type { AuthSettings } from "./authSettings.ts";
import type { User, Users } from "./authTables.ts";
import { AuthError, decidingEntry } from "./policies.ts";
import { type ResourceType, resourceKey } from "./resources.ts";
import { sameSignature } from "./signature.ts";

export const WRONG_SIGNATURE = "check signature failed.";
const NO_USERNAME = "username cannot be null.";
const NOT_DECIDED = "Authorization failed. Please verify your access rights and try again.";

/** Somebody's allowed names, per kind and action, as long as users and rights stay as they are. */
class Remembered {
  user: User | undefined;
  readonly topics = new Map<ActionSet, Set<string>>();
  readonly groups = new Map<ActionSet, Set<string>>();
  readonly clusters = new Map<ActionSet, Set<string>>();
  #version = -1;
  #username: string | undefined;

  /** Forgets what another user may, and what an older state of the tables said. */
  at(users: Users, username: string | undefined): void {
    if (this.#version === users.version && this.#username === username) return;
    this.#version = users.version;
    this.#username = username;
    this.user = username === undefined ? undefined : users.find(username);
    this.topics.clear();
    this.groups.clear();
    this.clusters.clear();
  }
}

export interface DecisionParts {
  readonly settings: AuthSettings;
  readonly users: Users;
  /** The name of the broker's own cluster. */
  readonly clusterName: () => string;
  readonly log: Logger;
  /** ACL 1.0: whether a request needs neither signature nor right, by where it comes from. */
  readonly isWhite?: ((ip: string, username: string | undefined) => boolean) | undefined;
}

/** Decides for one connection: it remembers who came by it. */
export class Decisions implements Wants {
  readonly #parts: DecisionParts;
  readonly #audit: Logger;
  readonly #ip: string;
  readonly #remembered = new Remembered();
  /** The request's name in the log, while one is decided. */
  #request = "";
  #username: string | undefined;
  #refusal: string | undefined;
  #isSuper = false;

  /** @param ip where the requests come from */
  constructor(parts: DecisionParts, ip: string) {
    this.#parts = parts;
    this.#audit = parts.log.child({ audit: true });
    this.#ip = ip;
  }

  /** Whether nothing is asked of whoever comes from here and calls himself this. */
  isWhite(username: string | undefined): boolean {
    const { isWhite } = this.#parts;
    return isWhite?.(this.#ip, username) ?? false;
  }

  /**
   * Why somebody is not who he says he is; undefined when he is.
   * @param given the signature he sent
   * @param sign the signature of the request with a password
   */
  notAuthentic(
    request: string,
    username: string | undefined,
    given: string | undefined,
    sign: (password: string) => string,
  ): string | undefined {
    if (username === undefined || username === "") return NO_USERNAME;
    const user = this.#parts.users.find(username);
    const expected = sign(user?.password ?? "");
    let refusal: string | undefined;
    if (given === undefined || !sameSignature(expected, given) || user === undefined) refusal = WRONG_SIGNATURE;
    // Only who knows the password learns that it is of no use.
    else if (user.status === "disable") refusal = `User:${username} is disabled.`;
    if (refusal !== undefined) {
      this.#audit.info({ user: username, from: this.#ip, request, refusal }, "authentication refused");
    } else if (this.#audit.isLevelEnabled("debug")) {
      this.#audit.debug({ user: username, from: this.#ip, request }, "authentication granted");
    }
    return refusal;
  }

  /** Why somebody may not do what `access` names of `asked`; undefined when he may. */
  notAllowed<T>(
    request: string,
    username: string | undefined,
    access: (asked: T, wants: Wants) => void,
    asked: T,
  ): string | undefined {
    const remembered = this.#remembered;
    this.#request = request;
    this.#username = username;
    this.#refusal = undefined;
    remembered.at(this.#parts.users, username);
    this.#isSuper = remembered.user?.type === "Super";
    if (this.#isSuper && this.#audit.isLevelEnabled("debug")) this.#tell("granted", "*", ["All"]);
    try {
      access(asked, this);
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof AuthError) this.#refusal = message;
      // What a super user got wrong, the row itself says better.
      else if (!this.#isSuper) this.#refusal = `parse authorization context error. ${message}`;
    }
    return this.#refusal;
  }

  topic(name: string, actions: ActionSet): void {
    this.#decide(this.#remembered.topics, "Topic", name, actions);
  }

  group(name: string, actions: ActionSet): void {
    this.#decide(this.#remembered.groups, "Group", name, actions);
  }

  cluster(name: string | undefined, actions: ActionSet): void {
    this.#decide(this.#remembered.clusters, "Cluster", name ?? this.#parts.clusterName(), actions);
  }

  #decide(allowed: Map<ActionSet, Set<string>>, type: ResourceType, name: string, actions: ActionSet): void {
    if (this.#refusal !== undefined || this.#isSuper) return;
    let names = allowed.get(actions);
    // Who wants a line for every decision gets one for the remembered ones, too.
    if (names?.has(name) && !this.#audit.isLevelEnabled("debug")) return;
    this.#refusal = this.#judge(type, name, actions);
    if (this.#refusal !== undefined) return;
    if (names === undefined) {
      names = new Set();
      allowed.set(actions, names);
    } else if (names.size >= AUTH_REMEMBERED_MAX) names.clear();
    names.add(name);
  }

  #judge(type: ResourceType, name: string, actions: ActionSet): string | undefined {
    const username = this.#username;
    const key = resourceKey({ type, name, pattern: "LITERAL" });
    if (username === undefined) return NOT_DECIDED;
    const { user } = this.#remembered;
    let detail: string | undefined;
    if (user === undefined) return `User:${username} not found.`;
    const entry = decidingEntry(user.policies, type, name, actions, this.#ip);
    if (entry === undefined) detail = "no matched policies.";
    else if (entry.decision === "Deny") detail = "the decision is deny.";
    if (detail === undefined) {
      if (this.#audit.isLevelEnabled("debug")) this.#tell("granted", key, actions.names);
      return undefined;
    }
    this.#tell("refused", key, actions.names, detail);
    return `User:${username} has no permission to access ${key} from ${this.#ip}, ${detail}`;
  }

  #tell(outcome: "granted" | "refused", resource: string, actions: readonly string[], reason?: string): void {
    const line = {
      user: this.#username,
      actions: actions.join(","),
      resource,
      from: this.#ip,
      request: this.#request,
      reason,
    };
    if (outcome === "granted") this.#audit.debug(line, "authorization granted");
    else this.#audit.info(line, "authorization refused");
  }
}
