// One server of one setup: started when its first suite comes, stopped after its last, on ports and in a directory of its own.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ApacheServer } from "./apache.mjs";
import { SETUPS } from "./setups.mjs";
import { SkylarkServer } from "./skylark.mjs";

export class Station {
  #make;
  #users;
  #server;

  /**
   * @param {{ kind: "apache" | "skylark", setupName: string, label?: string, users: number, ports: import("./ports.mjs").Ports, tempDir: string, lib?: string }} options
   *   `users` is how many suites will come; `label` tells several servers of one setup apart.
   */
  constructor({ kind, setupName, label = setupName, users, ports, tempDir, lib }) {
    this.kind = kind;
    this.name = `${kind} (${label})`;
    this.#users = users;
    this.#make = async () => {
      const { settings, layout } = SETUPS[setupName];
      const dir = join(tempDir, `${kind}-${label}`.replaceAll(/[^a-z0-9.-]+/g, "-"));
      mkdirSync(dir, { recursive: true });
      const common = { dir, ...(await ports.take()), settings };
      const server =
        kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer({ ...common, layout });
      const begin = Date.now();
      await server.start();
      console.log(`${this.name} ready after ${((Date.now() - begin) / 1000).toFixed(1)} s`);
      return server;
    };
  }

  /** The running server. */
  server() {
    this.#server ??= this.#make();
    return this.#server;
  }

  /**
   * A suite is done; the last one stops the server.
   * @returns {Promise<string | undefined>} what was wrong with the stop.
   */
  async leave() {
    this.#users--;
    if (this.#users > 0 || this.#server === undefined) return undefined;
    const server = await this.#server.catch(() => undefined);
    const ends = await server?.stopGracefully();
    const bad = ends?.find(({ code, killed }) => killed || (this.kind === "skylark" && code !== 0));
    if (bad === undefined) return undefined;
    return bad.killed ? "did not stop within its time" : `ended with ${bad.signal ?? bad.code}`;
  }
}
