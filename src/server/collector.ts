/**
 * The garbage collector, told once what kind of process this is. Only the command line calls it: in a process of somebody
 * else's (the embedded API) these are not our settings to make.
 */
import { setFlagsFromString } from "node:v8";

/**
 * A full collection begins when the old generation and the bytes that sockets bring together have grown by this much. With V8's
 * own estimate a broker at rest begins with so little room that the chunks of a busy connection, which live for a moment only,
 * bring a full collection every 100 ms: a fifth of the CPU per message, and pauses of milliseconds.
 */
const HEAP_GROWING_PERCENT = 300;

/** Lets the heap grow by the largest factor that V8 itself uses, from the first collection on. */
export function tuneCollector(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
}
