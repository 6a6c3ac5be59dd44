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
}

export function systemRuntime(log: Logger): Runtime {
  return { clock: systemClock, random: systemRandom, disk: nodeDisk, turn: new Turn(systemClock), log };
}
