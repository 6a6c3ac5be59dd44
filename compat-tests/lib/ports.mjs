// Ports for one NameServer and one broker on loopback that nobody uses now, so that two runs on one machine do not meet.

import { createServer } from "node:net";

/** How far two blocks are apart: the NameServer takes +0, the broker +8 (fast), +10, +11 (HA). */
const BLOCK = 20;

/**
 * @param {number} from where to begin looking.
 * @returns {Promise<{ namesrvPort: number, brokerPort: number, next: number }>} `next` is where the following search may begin.
 */
export async function freePorts(from) {
  for (let port = from; port < from + 50 * BLOCK; port += BLOCK) {
    const free = await Promise.all([0, 8, 10, 11].map((offset) => isFree(port + offset)));
    if (free.every(Boolean)) return { namesrvPort: port, brokerPort: port + 10, next: port + BLOCK };
  }
  throw new Error(`no free ports from ${from} on`);
}

/** Hands out blocks of ports to servers that start side by side; each block once. */
export class Ports {
  #last;

  constructor(from) {
    this.#last = Promise.resolve({ next: from });
  }

  /** @returns {Promise<{ namesrvPort: number, brokerPort: number }>} */
  async take() {
    this.#last = this.#last.then(({ next }) => freePorts(next));
    const { next: _, ...ports } = await this.#last;
    return ports;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
