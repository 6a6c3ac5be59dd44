/**
 * What a request wants to do, and to what: one rule per dispatch row, asked before anything else is done with the request
 * (Apache: DefaultAuthorizationContextBuilder, @RocketMQAction and @RocketMQResource).
 */
import type { HotCall } from "./dispatch.ts";

/** Action.java; All and Any only in policies. */
export const ACTIONS = ["Unknown", "All", "Any", "Pub", "Sub", "Create", "Update", "Delete", "Get", "List"] as const;
export type Action = (typeof ACTIONS)[number];

/** Actions of which one must be allowed. Made once per rule: decisions are remembered by identity. */
export interface ActionSet {
  readonly names: readonly Action[];
}

/** Collects what a request wants. */
export interface Wants {
  topic(name: string, actions: ActionSet): void;
  group(name: string, actions: ActionSet): void;
  /** `name` undefined: the broker's own cluster. */
  cluster(name: string | undefined, actions: ActionSet): void;
}

/** A request as far as its rule may look at it. */
export type Asked = Pick<HotCall, "view" | "buf" | "bodyStart" | "bodyEnd">;

/** The rule of a row: names everything that the request wants, or nothing where it is enough to be somebody. */
export type Access = (request: Asked, wants: Wants) => void;
