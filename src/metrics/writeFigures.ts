/** How much the log takes per write and how long its syncs take: our own figures, for whoever exports metrics. */
import { Histogram } from "./figures.ts";

const MESSAGES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] as const;
const BYTES = [1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304] as const;
const SYNC_MS = [0.5, 1, 2, 5, 10, 20, 50, 100, 500, 1000, 5000] as const;

export class WriteFigures {
  readonly batchMessages = new Histogram(MESSAGES);
  readonly batchBytes = new Histogram(BYTES);
  readonly syncMs = new Histogram(SYNC_MS);

  /** One write of all that a turn of the event loop brought. */
  wrote(messages: number, bytes: number): void {
    this.batchMessages.record(messages);
    this.batchBytes.record(bytes);
  }

  /** One sync of the log, with the names of its files. */
  synced(ms: number): void {
    this.syncMs.record(ms);
  }
}
