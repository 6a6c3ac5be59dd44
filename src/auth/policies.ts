/**
 * Who may do what: a user's policies, and the one entry of them that decides about a request (Apache: Acl, Policy,
 * PolicyEntry, AclAuthorizationHandler). Pure.
 *
 * Entries that cover the resource, one of the actions and the source are found among the custom policies, then, when there is none,
 * among the default ones. The most exact one decides: a name before a prefix, the longer prefix before the shorter,
 * a type's `*` behind both, `*` for everything last. Among equals a denial wins, in whatever order they were given.
 */
import { ACTIONS, type Action, type ActionSet } from "../protocol/access.ts";
import type { AclInfo, PolicyEntryInfo } from "../protocol/bodies/auth.ts";
import {
  byName,
  covers,
  parseResource,
  type Resource,
  type ResourceType,
  resourceKey,
  sameResource,
} from "./resources.ts";
import { isInRange, isIpOrRange } from "./sourceIps.ts";

export const POLICY_TYPES = ["Custom", "Default"] as const;
export type PolicyType = (typeof POLICY_TYPES)[number];
export const DECISIONS = ["Allow", "Deny"] as const;
export type Decision = (typeof DECISIONS)[number];

/** Apache's AuthenticationException and AuthorizationException: answered NO_PERMISSION with these words. */
export class AuthError extends Error {}

export interface PolicyEntry {
  readonly resource: Resource;
  readonly actions: readonly Action[];
  /** Addresses and ranges; undefined: from anywhere. */
  readonly sourceIps: readonly string[] | undefined;
  readonly decision: Decision;
}

export interface Policy {
  readonly type: PolicyType;
  readonly entries: PolicyEntry[];
}

/** The entry that decides; undefined when none speaks of it, which is a refusal, too. */
export function decidingEntry(
  policies: readonly Policy[],
  type: ResourceType,
  name: string,
  actions: ActionSet,
  ip: string,
): PolicyEntry | undefined {
  return best(policies, "Custom", type, name, actions, ip) ?? best(policies, "Default", type, name, actions, ip);
}

function best(
  policies: readonly Policy[],
  policyType: PolicyType,
  type: ResourceType,
  name: string,
  actions: ActionSet,
  ip: string,
): PolicyEntry | undefined {
  let found: PolicyEntry | undefined;
  // Of several policies of one type, the first counts, as Acl.getPolicy has it.
  for (const entry of policies.find((policy) => policy.type === policyType)?.entries ?? []) {
    if (!covers(entry.resource, type, name) || !speaksOf(entry, actions) || !isFrom(entry, ip)) continue;
    if (found === undefined || compare(entry, found) < 0) found = entry;
  }
  return found;
}

function speaksOf(entry: PolicyEntry, actions: ActionSet): boolean {
  return entry.actions.includes("All") || actions.names.some((action) => entry.actions.includes(action));
}

function isFrom({ sourceIps }: PolicyEntry, ip: string): boolean {
  return sourceIps === undefined || sourceIps.length === 0 || sourceIps.some((given) => isInRange(ip, given));
}

/** Negative when `a` decides before `b`. */
function compare(a: PolicyEntry, b: PolicyEntry): number {
  const exact = rank(b.resource) - rank(a.resource);
  if (exact !== 0) return exact;
  if (a.resource.pattern === "PREFIXED") {
    const longer = (b.resource.name ?? "").length - (a.resource.name ?? "").length;
    if (longer !== 0) return longer;
  }
  if (a.decision === b.decision) return 0;
  return a.decision === "Deny" ? -1 : 1;
}

function rank({ type, pattern }: Resource): number {
  if (type === "Any") return 0;
  return pattern === "LITERAL" ? 3 : pattern === "PREFIXED" ? 2 : 1;
}

/** Puts `next` into `policies`: an entry of the same resource is replaced, all others stay. */
export function mergePolicies(policies: readonly Policy[], next: readonly Policy[]): Policy[] {
  const merged = policies.map(({ type, entries }) => ({ type, entries: [...entries] }));
  for (const policy of next) {
    const old = merged.find(({ type }) => type === policy.type);
    if (old === undefined) {
      merged.push({ type: policy.type, entries: [...policy.entries] });
      continue;
    }
    for (const entry of policy.entries) {
      const at = old.entries.findIndex(({ resource }) => sameResource(resource, entry.resource));
      if (at < 0) old.entries.push(entry);
      else old.entries[at] = entry;
    }
  }
  return merged;
}

/** `policies` without the entry of `resource` in the policy of `type`; a policy without entries goes. */
export function withoutEntry(policies: readonly Policy[], type: PolicyType, resource: Resource): Policy[] {
  return policies
    .map((policy) =>
      policy.type !== type
        ? policy
        : { type, entries: policy.entries.filter((entry) => !sameResource(entry.resource, resource)) },
    )
    .filter((policy) => policy.entries.length > 0);
}

/**
 * Policies as they came over the wire or from the file (AclConverter and AuthorizationMetadataManagerImpl.validate).
 * @throws AuthError in Apache's words
 */
export function policiesOf(info: AclInfo): Policy[] {
  const policies = (info.policies ?? [])
    .filter(({ entries }) => (entries ?? []).length > 0)
    .map(({ policyType, entries }) => ({
      type: byName(POLICY_TYPES, policyType) ?? "Custom",
      entries: (entries ?? []).map(entryOf),
    }));
  if (policies.length === 0) throw new AuthError("The policies is empty.");
  return policies;
}

function entryOf(info: PolicyEntryInfo): PolicyEntry {
  const resource = parseResource(info.resource);
  if (resource === undefined) throw new AuthError("The resource is null.");
  const actions = (info.actions ?? [])
    .map((name) => byName(ACTIONS, name))
    .filter((action): action is Action => action !== undefined);
  if (actions.length === 0) throw new AuthError("The actions is empty.");
  if (actions.includes("Any")) throw new AuthError("The actions can not be Any.");
  const sourceIps = info.sourceIps !== undefined && info.sourceIps.length > 0 ? info.sourceIps : undefined;
  for (const ip of sourceIps ?? []) {
    if (ip.trim() === "") throw new AuthError("The source ip is empty.");
    if (!isIpOrRange(ip)) throw new AuthError("The source ip is invalid.");
  }
  const decision = byName(DECISIONS, info.decision);
  if (decision === undefined) throw new AuthError("The decision is null or illegal.");
  return { resource, actions, sourceIps, decision };
}

/** Policies as mqadmin reads them. */
export function aclInfoOf(subject: string, policies: readonly Policy[]): AclInfo {
  return {
    subject,
    policies: policies.map(({ type, entries }) => ({
      policyType: type,
      entries: entries.map((entry) => ({
        resource: resourceKey(entry.resource),
        actions: [...entry.actions],
        ...(entry.sourceIps === undefined ? {} : { sourceIps: [...entry.sourceIps] }),
        decision: entry.decision,
      })),
    })),
  };
}
