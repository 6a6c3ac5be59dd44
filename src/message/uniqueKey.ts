/**
 * A client-style unique key for a message that came without one (MessageClientIDSetter.createUniqID): 32 upper-case hex
 * digits. Apache's are made of address, pid, class loader hash, time and counter; nobody takes them apart but for the
 * time, so ours keep that at its place and draw the rest.
 *
 *   0 address (4 bytes) | 8 pid (2) | 12 loader hash (4) | 20 ms since the month began (4) | 28 counter (2)
 */
import type { Random } from "../base/random.ts";

const MONTH_MS = 30 * 24 * 3_600_000;
let counter = 0;

export function newUniqueKey(nowMs: number, random: Random): string {
  counter = (counter + 1) & 0xffff;
  return (
    hex(random.int(0x7fffffff), 8) +
    hex(random.int(0xffff), 4) +
    hex(random.int(0x7fffffff), 8) +
    hex(nowMs % MONTH_MS, 8) +
    hex(counter, 4)
  );
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
