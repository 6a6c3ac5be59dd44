/** What all servers of one process share: the four ports and the heartbeat. */
import { type Clock, systemClock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { type Random, systemRandom } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import { type Disk, nodeDisk } from "../store/disk.ts";

export interface Runtime {
  clock: Clock;
  random: Random;
  disk: Disk;
  turn: Turn;
  log: Logger;
  /** What Apache takes from the flags of its JVM (-Dkey=value). */
  properties: ReadonlyMap<string, string>;
}

export function systemRuntime(log: Logger, properties: ReadonlyMap<string, string> = new Map()): Runtime {
  return { clock: systemClock, random: systemRandom, disk: nodeDisk, turn: new Turn(systemClock), log, properties };
}
