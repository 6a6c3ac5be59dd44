// Child processes of a run: started with piped output, found again by their lines, never left behind.
import { spawn } from "node:child_process";
import readline from "node:readline";

const alive = new Set();

process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

/** A child whose output lines are handed to those who wait for them. */
export class Child {
  #process;
  #name;
  #lastLines = [];
  /** Lines since the last one that somebody waited for: two may come in one read. */
  #unclaimed = [];
  #listeners = new Set();
  #exited;

  constructor(name, command, args, options = {}) {
    this.#name = name;
    this.#process = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    alive.add(this.#process);
    this.#exited = new Promise((resolve) => {
      this.#process.once("error", (error) => {
        this.#keep(String(error));
        resolve();
      });
      this.#process.once("exit", resolve);
    }).then(() => alive.delete(this.#process));
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      readline.createInterface({ input: stream }).on("line", (line) => this.#onLine(line));
    }
  }

  get pid() {
    return this.#process.pid;
  }

  /** Resolves with the match of the first line since the last match that matches; rejects when the child ends or time is up. */
  line(pattern, timeoutMs) {
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.#listeners.delete(listener);
        settle(value);
      };
      const failed = (what) => finish(reject, new Error(`${this.#name} ${what}:\n${this.#lastLines.join("\n")}`));
      const timer = setTimeout(() => failed(`did not print ${pattern} in ${timeoutMs} ms`), timeoutMs);
      const listener = (line) => {
        const match = pattern.exec(line);
        if (!match) return;
        this.#unclaimed.splice(0, this.#unclaimed.indexOf(line) + 1);
        finish(resolve, match);
      };
      this.#listeners.add(listener);
      for (const line of [...this.#unclaimed]) listener(line);
      this.#exited.then(() => failed(`ended before it printed ${pattern}`));
    });
  }

  /** SIGTERM, and SIGKILL if that does not end it in 30 s. */
  async stop() {
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 30_000);
    await this.#exited;
    clearTimeout(timer);
  }

  async ended() {
    await this.#exited;
  }

  #onLine(line) {
    this.#keep(line);
    this.#unclaimed.push(line);
    if (this.#unclaimed.length > 20) this.#unclaimed.shift();
    for (const listener of [...this.#listeners]) listener(line);
  }

  #keep(line) {
    this.#lastLines.push(line);
    if (this.#lastLines.length > 20) this.#lastLines.shift();
  }
}
