// A child process with a log file: started, waited for by a line it prints, ended by its own pid.

import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";

export class Child {
  #process;
  #exited;
  #lines = [];
  #watchers = new Set();

  /**
   * @param {string} name for messages.
   * @param {string} command
   * @param {string[]} args
   * @param {{ log: string, cwd?: string, env?: Record<string, string> }} options stdout and stderr are appended to `log`.
   */
  constructor(name, command, args, options) {
    this.name = name;
    this.log = options.log;
    mkdirSync(dirname(options.log), { recursive: true });
    const log = createWriteStream(options.log, { flags: "a" });
    log.write(`\n== ${command} ${args.join(" ")}\n`);
    this.#process = spawn(command, args, {
      cwd: options.cwd,
      env: { ...cleanEnvironment(), ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#process.stdin.on("error", () => {});
    this.#process.stderr.on("data", (chunk) => log.write(chunk));
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      log.write(`${line}\n`);
      this.#lines.push(line);
      for (const watcher of this.#watchers) watcher(line);
    });
    this.#exited = new Promise((resolve) => {
      this.#process.on("error", (error) => resolve({ code: null, signal: null, error }));
      this.#process.on("close", (code, signal) => resolve({ code, signal }));
    });
    this.#exited.then(() => log.end());
  }

  get pid() {
    return this.#process.pid;
  }

  /** Resolves with { code, signal } once the process is gone and its output has been read. */
  get exited() {
    return this.#exited;
  }

  /** Calls back for each further line of stdout; returns the function that stops it. */
  onLine(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  write(text) {
    this.#process.stdin.write(text);
  }

  /** Waits for a line of stdout that matches; fails with the log's name when the process ends first or the time is up. */
  async line(pattern, timeoutMs) {
    const seen = this.#lines.find((line) => pattern.test(line));
    if (seen !== undefined) return seen;
    let stop = () => {};
    let timer;
    const found = new Promise((resolve) => {
      stop = this.onLine((line) => pattern.test(line) && resolve(line));
    });
    const ended = this.#exited.then(({ code, signal, error }) => {
      throw new Error(`${this.name} ended (${error ?? signal ?? code}) before it printed ${pattern}; see ${this.log}`);
    });
    const late = new Promise((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${this.name} did not print ${pattern} within ${timeoutMs} ms; see ${this.log}`)),
        timeoutMs,
      );
    });
    try {
      return await Promise.race([found, ended, late]);
    } finally {
      stop();
      clearTimeout(timer);
    }
  }

  /** SIGTERM and wait; SIGKILL when it takes longer than the limit, which is reported as `killed`. */
  async terminate(limitMs = 60_000) {
    this.#process.kill("SIGTERM");
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      this.#process.kill("SIGKILL");
    }, limitMs);
    const result = await this.#exited;
    clearTimeout(timer);
    return { ...result, killed };
  }

  async kill9() {
    this.#process.kill("SIGKILL");
    return this.#exited;
  }
}

/** The environment without what would point a client or a server somewhere else. */
function cleanEnvironment() {
  const { NAMESRV_ADDR: _, ROCKETMQ_HOME: __, JAVA_TOOL_OPTIONS: ___, ...rest } = process.env;
  return rest;
}

/** Ends every child of this process when it is interrupted, so that no broker stays behind. */
const living = new Set();

export function own(child) {
  living.add(child);
  child.exited.then(() => living.delete(child));
  return child;
}

function killAll() {
  for (const child of living) {
    try {
      process.kill(child.pid, "SIGKILL");
    } catch {
      // Already gone.
    }
  }
}
process.on("exit", killAll);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
