/** A connection between a master and a slave without sockets: what one end sends waits until the test lets it pass. */
import { Buffer } from "node:buffer";
import type { Link, LinkEvents } from "../ha/link.ts";

/** The address that the master sees. */
const PEER = "10.0.0.9:40000";

export class Wire {
  /** What the master has sent. */
  readonly toSlave: Buffer[] = [];
  /** What the slave has sent. */
  readonly toMaster: Buffer[] = [];
  open = true;
  /** The master's socket takes no more. */
  full = false;
  /** How many bytes still pass in each direction before the connection is cut. */
  readonly left = {
    toMaster: { bytes: Number.POSITIVE_INFINITY },
    toSlave: { bytes: Number.POSITIVE_INFINITY },
  };
  master!: LinkEvents;
  slave!: LinkEvents;

  get masterEnd(): Link {
    return this.#end(this.toSlave, () => !this.full);
  }

  get slaveEnd(): Link {
    return this.#end(this.toMaster, () => true);
  }

  #end(queue: Buffer[], takesMore: () => boolean): Link {
    return {
      peer: PEER,
      send: (bytes) => {
        if (this.open) queue.push(Buffer.from(bytes));
        return takesMore();
      },
      close: () => this.cut(),
    };
  }

  /** What is under way, by direction, with the end that it goes to. */
  get directions(): { queue: Buffer[]; to: () => LinkEvents; left: { bytes: number } }[] {
    return [
      { queue: this.toMaster, to: () => this.master, left: this.left.toMaster },
      { queue: this.toSlave, to: () => this.slave, left: this.left.toSlave },
    ];
  }

  cut(): void {
    if (!this.open) return;
    this.open = false;
    this.master.closed("cut");
    this.slave.closed("cut");
  }
}
