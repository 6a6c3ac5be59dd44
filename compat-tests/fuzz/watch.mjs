// What the system knows of a process: resident memory and open files, sampled.

import { readdirSync, readFileSync } from "node:fs";

const MIB = 1024 * 1024;

/** Resident memory in MiB. */
export function rssMiB(pid) {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return match === null ? 0 : Number(match[1]) / 1024;
}

export function openFiles(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

export class MemoryWatch {
  samples = [];
  #timer;

  constructor(pid, periodMs = 500) {
    this.#timer = setInterval(() => {
      try {
        this.samples.push({ at: performance.now(), mib: rssMiB(pid) });
      } catch {
        // Gone: whoever waits for the process reports it.
      }
    }, periodMs);
  }

  stop() {
    clearInterval(this.#timer);
  }

  get peak() {
    return Math.max(0, ...this.samples.map((s) => s.mib));
  }

  /** Growth over the last half: median of the last tenth less the median of the tenth in the middle, MiB. */
  growthOfLastHalf() {
    const { samples } = this;
    const tenth = Math.max(1, Math.floor(samples.length / 10));
    const middle = Math.floor(samples.length / 2);
    return median(samples.slice(-tenth)) - median(samples.slice(middle, middle + tenth));
  }
}

function median(samples) {
  const sorted = samples.map((s) => s.mib).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

export { MIB };
