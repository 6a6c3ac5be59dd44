/**
 * The heartbeat of the hot path: everything that one event-loop turn brought is finished together at its end, in a fixed
 * order. First the commit phase (one log write for all appends, acknowledgements granted), then the output phase (one
 * socket write per connection). No timer, no waiting: an idle server answers a single request at once.
 */
import type { Clock } from "./clock.ts";

/** Rounds of the commit phase in one turn; what still wants more has to wait for the next turn. */
const COMMIT_ROUNDS_MAX = 4;

export class Turn {
  readonly #clock: Clock;
  #commit: () => void = nothing;
  #output: () => void = nothing;
  #requested = false;
  #again = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Adds work to the commit phase; it runs in every requested turn. */
  onCommit(work: () => void): void {
    this.#commit = after(this.#commit, work);
  }

  /** Adds work to the output phase, after all commits. */
  onOutput(work: () => void): void {
    this.#output = after(this.#output, work);
  }

  /** Asks for both phases at the end of the current turn. Cheap to call per message. */
  request(): void {
    if (this.#requested) return;
    this.#requested = true;
    this.#clock.endOfTurn(this.#run);
  }

  /**
   * From within the commit phase: something was appended for what has just become visible (a held pop was answered), and
   * is to be part of this turn.
   */
  commitAgain(): void {
    this.#again = true;
  }

  readonly #run = (): void => {
    this.#commit();
    for (let rounds = 0; this.#again && rounds < COMMIT_ROUNDS_MAX; rounds++) {
      this.#again = false;
      this.#commit();
    }
    // Output of work that the commits caused belongs to this turn; only later requests need another one.
    this.#requested = false;
    if (this.#again) {
      this.#again = false;
      this.request();
    }
    this.#output();
  };
}

function nothing(): void {}

function after(first: () => void, second: () => void): () => void {
  if (first === nothing) return second;
  return () => {
    first();
    second();
  };
}
