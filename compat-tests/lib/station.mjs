// One server of one setup: started when its first suite comes, stopped after its last, on ports and in a directory of its own. What its
// processes print is kept beside the clients' logs.

import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { ApacheServer } from "./apache.mjs";
import { COMMON, SETUPS } from "./setups.mjs";
import { SkylarkServer } from "./skylark.mjs";

export class Station {
  #make;
  #dir;
  #logDir;
  #users;
  #server;

  /**
   * @param {{ kind: "apache" | "skylark", setupName: string, label?: string, users: number, ports: import("./ports.mjs").Ports, tempDir: string, logDir: string, lib?: string }} options
   *   `users` is how many suites will come; `label` tells several servers of one setup apart.
   */
  constructor({ kind, setupName, label = setupName, users, ports, tempDir, logDir, lib }) {
    this.kind = kind;
    this.name = `${kind} (${label})`;
    this.#users = users;
    this.#logDir = logDir;
    this.#dir = join(tempDir, `${kind}-${label}`.replaceAll(/[^a-z0-9.-]+/g, "-"));
    this.#make = async () => {
      const { settings, layout } = SETUPS[setupName];
      const common = { dir: this.#dir, ...(await ports.take()), settings: { ...COMMON, ...settings } };
      return kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer({ ...common, layout });
    };
  }

  /** The running server. */
  server() {
    this.#server ??= this.#start();
    return this.#server;
  }

  /** The oracle may fail to start once, as when somebody took one of its ports in between. Skylark may not. */
  async #start() {
    for (let left = this.kind === "apache" ? 1 : 0; ; left--) {
      const begin = Date.now();
      mkdirSync(this.#dir, { recursive: true });
      const server = await this.#make();
      try {
        await server.start();
        console.log(`${this.name} ready after ${((Date.now() - begin) / 1000).toFixed(1)} s`);
        return server;
      } catch (error) {
        await server.kill9();
        this.#keepLogs();
        if (left === 0) throw error;
        console.log(`${this.name} is started again: ${error.message}`);
        rmSync(this.#dir, { recursive: true, force: true });
      }
    }
  }

  /**
   * A suite is done; the last one stops the server.
   * @returns {Promise<string | undefined>} what was wrong with the stop.
   */
  async leave() {
    this.#users--;
    if (this.#users > 0 || this.#server === undefined) return undefined;
    const server = await this.#server.catch(() => undefined);
    if (server === undefined) return undefined;
    // How Apache stops is not ours to judge, and takes a broker 15 s.
    const ends = this.kind === "apache" ? await server.kill9() : await server.stopGracefully();
    this.#keepLogs();
    const bad = ends?.find(({ code, killed }) => killed || code !== 0);
    if (bad === undefined) return undefined;
    return bad.killed ? "did not stop within its time" : `ended with ${bad.signal ?? bad.code}`;
  }

  #keepLogs() {
    if (!existsSync(this.#dir)) return;
    for (const name of readdirSync(this.#dir).filter((file) => file.endsWith(".log"))) {
      copyFileSync(join(this.#dir, name), join(this.#logDir, `${basename(this.#dir)}-${name}`));
    }
  }
}
