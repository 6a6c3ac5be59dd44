// What the kernel says about a process, all its threads included (Linux /proc).
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** USER_HZ, the unit of utime and stime. */
const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** `pids` and all their descendants: a server may be a launcher with workers. */
function withDescendants(pids) {
  return pids.flatMap((pid) => {
    const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
    return [pid, ...withDescendants(children)];
  });
}

/** Processor seconds used so far, user and system, all threads, by all of `pids` and their children. */
export function cpuSeconds(pids) {
  let ticks = 0;
  for (const pid of withDescendants(pids)) {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in parentheses and may hold spaces; utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Resident memory in MB: all of it, and without pages of mapped files. */
export function residentMb(pids) {
  let total = 0;
  let anonymous = 0;
  for (const pid of withDescendants(pids)) {
    const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
    total += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)[1]) / 1024;
    anonymous += Number(/^RssAnon:\s+(\d+) kB/m.exec(status)[1]) / 1024;
  }
  return { total, anonymous };
}

/** Median milliseconds of appending 4 KiB and syncing the data: what SYNC_FLUSH stands on. */
function syncMs(directory) {
  const file = path.join(directory, "sync-probe");
  const fd = fs.openSync(file, "w");
  const block = Buffer.alloc(4096, "x");
  const times = [];
  for (let i = 0; i < 100; i++) {
    fs.writeSync(fd, block);
    const before = performance.now();
    fs.fdatasyncSync(fd);
    times.push(performance.now() - before);
  }
  fs.closeSync(fd);
  fs.rmSync(file);
  return times.sort((a, b) => a - b)[50];
}

/** The machine, without anything that names it. */
export function describeMachine(directory, javaVersion) {
  const [cpu] = os.cpus();
  const kernel = /^\d+(\.\d+)*/.exec(os.release())[0];
  const memoryGb = Math.round(os.totalmem() / 2 ** 30);
  return [
    `${cpu.model}, ${os.cpus().length} cores, ${memoryGb} GB memory`,
    `${os.type()} ${kernel}, Node ${process.versions.node}, ${javaVersion}`,
    `4 KiB append + data sync on the store's disk: ${syncMs(directory).toFixed(2)} ms (median of 100)`,
  ];
}
