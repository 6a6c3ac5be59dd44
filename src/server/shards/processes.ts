/**
 * The port to processes, and what is said over it: the only file of the product that starts any. The supervisor gives an order, the
 * shard says how it fares; the channel between them is also the life-line, which breaks when either of them is gone.
 */
import { type ChildProcess, fork } from "node:child_process";
import type { DeclaredTopic } from "../../broker/declaredTopics.ts";
import type { ConsoleSettings } from "../console.ts";

/** All that a shard needs to know. */
export interface ShardOrder {
  readonly name: string;
  /** Of its broker.conf, as text. */
  readonly entries: ReadonlyMap<string, string>;
  readonly bind: string;
  readonly topics: readonly DeclaredTopic[];
  readonly console: ConsoleSettings | undefined;
}

/** What a shard says. */
export type ShardWord =
  | { readonly kind: "ready"; readonly address: string }
  /** It could not start; each reason is for the operator. */
  | { readonly kind: "failed"; readonly problems: readonly string[] }
  /** Its store can promise nothing any more, and the process ends. */
  | { readonly kind: "fatal"; readonly reason: string };

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface ShardEvents {
  word(word: ShardWord): void;
  /** Once, and last. */
  ended(end: ProcessEnd): void;
}

export interface ShardProcess {
  /** undefined when the system could not start it. */
  readonly pid: number | undefined;
  /** Asks it to stop in order. */
  terminate(): void;
  /** Ends it where it stands. */
  kill(): void;
}

/** Starts a process; nothing is heard of it before this has returned. */
export type StartShard = (order: ShardOrder, events: ShardEvents) => ShardProcess;

/** The side of the shard. */
export interface SupervisorChannel {
  /** The supervisor's order, once. */
  readonly order: Promise<ShardOrder>;
  /** Resolves when the word has left, or cannot. */
  say(word: ShardWord): Promise<void>;
  /** The supervisor is gone. */
  onClosed(fn: () => void): void;
}

/** Shards as processes of this program. @param program the script whose command `shard` runs one */
export function systemProcesses(program: string): StartShard {
  return (order, events) => {
    let child: ChildProcess;
    try {
      child = fork(program, ["shard"], { stdio: ["ignore", "inherit", "inherit", "ipc"], serialization: "advanced" });
    } catch (error) {
      // No memory, for example; other reasons come as an event.
      queueMicrotask(() => notStarted(events, error as Error));
      return { pid: undefined, terminate: () => {}, kill: () => {} };
    }
    let over = false;
    child.on("message", (message) => events.word(message as ShardWord));
    child.on("exit", (code, signal) => {
      if (over) return;
      over = true;
      events.ended({ code, signal });
    });
    child.on("error", (error) => {
      // A failed signal or message is not an end: "exit" follows. Without a process nothing follows.
      if (child.pid !== undefined || over) return;
      over = true;
      notStarted(events, error);
    });
    child.send(order, () => {});
    return {
      pid: child.pid,
      terminate: () => void child.kill("SIGTERM"),
      kill: () => void child.kill("SIGKILL"),
    };
  };
}

function notStarted(events: ShardEvents, error: Error): void {
  events.word({ kind: "failed", problems: [error.message] });
  events.ended({ code: null, signal: null });
}

/** @throws Error when no supervisor started this process */
export function supervisorChannel(): SupervisorChannel {
  if (process.send === undefined) throw new Error("shards are started by: skylark start --shards N");
  const order = new Promise<ShardOrder>((resolve) =>
    process.once("message", (message) => resolve(message as ShardOrder)),
  );
  return {
    order,
    say: (word) =>
      new Promise((resolve) => {
        if (process.send === undefined || !process.connected) resolve();
        else process.send(word, () => resolve());
      }),
    onClosed: (fn) => void process.once("disconnect", fn),
  };
}
