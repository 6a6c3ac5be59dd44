/**
 * What rights are given on: `Topic:name`, `Group:prefix*`, `Cluster:*` or `*` for everything (Apache: Resource, ResourceType,
 * ResourcePattern). Pure.
 */

export const RESOURCE_TYPES = ["Unknown", "Any", "Cluster", "Namespace", "Topic", "Group"] as const;
export type ResourceType = (typeof RESOURCE_TYPES)[number];
export type ResourcePattern = "ANY" | "LITERAL" | "PREFIXED";

export interface Resource {
  readonly type: ResourceType;
  /** Undefined with pattern ANY. */
  readonly name: string | undefined;
  readonly pattern: ResourcePattern;
}

/** The one of `names` that `text` is in any case of letters, as Apache's getByName. */
export function byName<T extends string>(names: readonly T[], text: string | undefined): T | undefined {
  const wanted = text?.toLowerCase();
  return names.find((name) => name.toLowerCase() === wanted);
}

/** A resource from its key; undefined when it is blank or names no type. */
export function parseResource(key: string | undefined): Resource | undefined {
  if (key === undefined || key.trim() === "") return undefined;
  if (key === "*") return { type: "Any", name: undefined, pattern: "ANY" };
  const colon = key.indexOf(":");
  const type = byName(RESOURCE_TYPES, colon < 0 ? key : key.slice(0, colon));
  if (type === undefined) return undefined;
  const name = colon < 0 ? "" : key.slice(colon + 1);
  if (name === "*") return { type, name: undefined, pattern: "ANY" };
  if (name.endsWith("*")) return { type, name: name.slice(0, name.indexOf("*")), pattern: "PREFIXED" };
  return { type, name, pattern: "LITERAL" };
}

/** The key of a resource, as mqadmin prints it. */
export function resourceKey({ type, name, pattern }: Resource): string {
  if (type === "Any") return "*";
  if (pattern === "ANY") return `${type}:*`;
  return pattern === "LITERAL" ? `${type}:${name}` : `${type}:${name}*`;
}

export function sameResource(a: Resource, b: Resource): boolean {
  return a.type === b.type && a.name === b.name && a.pattern === b.pattern;
}

/** Whether rights on `given` are rights on the one thing `name` of `type`. */
export function covers(given: Resource, type: ResourceType, name: string): boolean {
  if (given.type === "Any") return true;
  if (given.type !== type) return false;
  if (given.pattern === "ANY") return true;
  return given.pattern === "LITERAL" ? name === given.name : name.startsWith(given.name ?? "");
}
