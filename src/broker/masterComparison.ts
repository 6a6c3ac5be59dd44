/**
 * Whether a slave's log is its master's: asks the master for the newest record that lies here, by its place, and compares
 * the bytes. Two logs that are equal there and grew by appending are equal below, too. Apache has no such question; any
 * master answers it, because consumers ask the same (VIEW_MESSAGE_BY_ID).
 */
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { ReplicaLog } from "../store/replicaLog.ts";
import type { RequestTo } from "./registration.ts";

const TIMEOUT_MS = 5_000;
/** A master that answers nothing at all is asked again so often before it is believed to be what it was. */
const UNANSWERED_MAX = 3;

export class MasterComparison {
  readonly #replica: ReplicaLog;
  readonly #request: RequestTo;
  readonly #master: () => string | undefined;
  #unanswered = 0;

  constructor(replica: ReplicaLog, request: RequestTo, master: () => string | undefined) {
    this.#replica = replica;
    this.#request = request;
    this.#master = master;
  }

  /** What differs, in one sentence; undefined when the logs agree, or when nobody can be asked. */
  async difference(): Promise<string | undefined> {
    const logOffset = this.#replica.lastRecordAt();
    const master = this.#master();
    if (logOffset < 0 || master === undefined) return undefined;
    const ours = await this.#replica.recordAt(logOffset);
    if (ours === undefined) return undefined;
    const header = { topic: "", offset: logOffset };
    let answer: Awaited<ReturnType<RequestTo>>;
    try {
      answer = await this.#request(master, RequestCode.VIEW_MESSAGE_BY_ID, header, undefined, TIMEOUT_MS);
      this.#unanswered = 0;
    } catch (error) {
      // It may serve slaves although clients do not reach it; but most likely it is being started.
      if (++this.#unanswered <= UNANSWERED_MAX) return `the master cannot be asked yet: ${(error as Error).message}`;
      return undefined;
    }
    if (answer.code !== ResponseCode.SUCCESS) {
      return `the master ${master} has no message at log offset ${logOffset}, where the newest one of this slave lies: its log is another or shorter one (${answer.remark ?? `answer ${answer.code}`})`;
    }
    if (ours.equals(answer.body)) return undefined;
    return `the newest message of this slave, at log offset ${logOffset}, is not the one that the master ${master} has there: the logs have diverged. Empty this slave's store to start it anew`;
  }
}
