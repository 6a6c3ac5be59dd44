/**
 * One broker process of `skylark start --shards N`, from its supervisor's order to its end. Stops in order on SIGTERM, at any time,
 * and when the supervisor is gone: nobody would start it again, and a new supervisor needs its ports and its store.
 */
import { join } from "node:path";
import { ConfigError, formatProperties, loadBrokerConfig, parseProperties } from "../../config/index.ts";
import type { Disk } from "../../store/disk.ts";
import { MetadataFile } from "../../store/metadataFile.ts";
import { type RunningBroker, startBrokerServer } from "../brokerServer.ts";
import { thisMachine } from "../machine.ts";
import type { Runtime } from "../runtime.ts";
import { PLACEMENT_KEYS } from "./plan.ts";
import type { ShardOrder, SupervisorChannel } from "./processes.ts";

/** What was changed by mqadmin on one shard, below its store directory. */
const CHANGES_FILE = join("config", "shard.properties");

const HEADER = "# changed by mqadmin updateBrokerConfig; wins over the configuration of all shards";

export interface ShardHooks {
  /** Asks to be told once when the process shall stop. */
  onStop(fn: () => void): void;
  /** The end of the process, with its exit status. */
  exit(code: number): void;
  /** The end soon, with an error: replies with the reason still leave before. */
  die(): void;
}

/** Runs one shard until its end. */
export async function runShard(
  openRuntime: (name: string) => Promise<Runtime>,
  channel: SupervisorChannel,
  hooks: ShardHooks,
): Promise<void> {
  let running: RunningBroker | undefined;
  let stopping = false;
  let log: Runtime["log"] | undefined;
  const close = (broker: RunningBroker): void => {
    broker.close().then(
      () => hooks.exit(0),
      (error: Error) => {
        log?.error({ err: error }, "not stopped in order");
        hooks.exit(1);
      },
    );
  };
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    // A start that is under way is stopped at its end: only a whole broker leaves a clean store.
    if (running !== undefined) close(running);
  };
  hooks.onStop(stop);
  channel.onClosed(stop);

  const order = await channel.order;
  const runtime = await openRuntime(order.name);
  log = runtime.log;
  try {
    running = await startShardBroker(runtime, order, (error) => {
      void channel.say({ kind: "fatal", reason: error.message });
      runtime.log.fatal({ err: error }, "the store failed; the process ends");
      hooks.die();
    });
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [(error as Error).message];
    await channel.say({ kind: "failed", problems });
    hooks.exit(1);
    return;
  }
  if (stopping) close(running);
  else await channel.say({ kind: "ready", address: running.address });
}

function startShardBroker(
  runtime: Runtime,
  order: ShardOrder,
  onFatal: (error: Error) => void,
): Promise<RunningBroker> {
  const { entries: base, bind, topics, console } = order;
  const changes = new ShardChanges(runtime.disk, base);
  // The supervisor has said the warnings, once for all shards.
  const { config } = loadBrokerConfig(new Map([...base, ...changes.read(runtime.log)]), thisMachine(bind));
  return startBrokerServer(runtime, { config, bind, topics, console, configFile: changes, onFatal });
}

/**
 * What `mqadmin updateBrokerConfig` has changed on this shard: a file of its own with these options only, because the -c FILE is
 * that of all shards. They win over it at the next start.
 */
export class ShardChanges {
  readonly #base: ReadonlyMap<string, string>;
  readonly #file: MetadataFile;

  /** @param base the entries without changes */
  constructor(disk: Disk, base: ReadonlyMap<string, string>) {
    this.#base = base;
    this.#file = new MetadataFile(disk, join(base.get("storePathRootDir") ?? ".", CHANGES_FILE));
  }

  /** A file that nobody can read is passed over with a warning. */
  read(log: Runtime["log"]): Map<string, string> {
    const changes = this.#file.load(parseProperties, (file, reason) => log.warn(`${file} is passed over: ${reason}`));
    return new Map([...(changes ?? [])].filter(([key]) => !PLACEMENT_KEYS.has(key)));
  }

  /** @param text the whole broker.conf as it would be after a change */
  write(text: string): Promise<void> {
    const changed = [...parseProperties(text)].filter(
      ([key, value]) => !PLACEMENT_KEYS.has(key) && this.#base.get(key)?.trim() !== value,
    );
    // Never empty: an empty file would be taken for a damaged one, and the one before would be in force.
    return this.#file.write(`${HEADER}\n${formatProperties(new Map(changed))}`);
  }
}
