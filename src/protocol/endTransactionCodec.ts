/**
 * The wire side of END_TRANSACTION (37): request header to a reused typed object. Written by hand because it is hot; the
 * generated schema stays the reference (endTransactionCodec.test.ts compares).
 */
import { HeaderError, type HeaderView } from "./headerView.ts";

/** Values of commitOrRollback: the transaction bits of a sysFlag. */
export const DECISION_UNKNOWN = 0x0;
export const DECISION_COMMIT = 0x8;
export const DECISION_ROLLBACK = 0xc;

const NAMES = [
  "producerGroup",
  "tranStateTableOffset",
  "commitLogOffset",
  "commitOrRollback",
  "fromTransactionCheck",
  "msgId",
] as const;
const GROUP = 0;
const HALF_OFFSET = 1;
const LOG_OFFSET = 2;
const DECISION = 3;
const FROM_CHECK = 4;
const MESSAGE_ID = 5;
/** Apache fails without one of these four; nothing uses the message id but its log. */
const REQUIRED = (1 << GROUP) | (1 << HALF_OFFSET) | (1 << LOG_OFFSET) | (1 << DECISION);

export class EndTransactionRequest {
  /** Queue offset of the half message. */
  halfOffset = 0;
  /** Log offset of the half message. */
  logOffset = 0;
  decision = DECISION_UNKNOWN;
  /** The answer to a check, not the end of a send. */
  fromCheck = false;
  /** Group bytes in the frame. */
  groupStart = 0;
  groupEnd = 0;
  #view!: HeaderView;
  #messageIdField = -1;

  /** Asked for rarely, so made only then. */
  get group(): string {
    return this.#view.buf.toString("utf8", this.groupStart, this.groupEnd);
  }

  get messageId(): string {
    return this.#messageIdField < 0 ? "" : this.#view.valueText(this.#messageIdField);
  }

  /** @throws HeaderError in Apache's words, or naming the field that is missing or no number */
  read(view: HeaderView): void {
    this.#view = view;
    this.fromCheck = false;
    this.#messageIdField = -1;
    let seen = 0;
    for (let i = 0; i < view.count; i++) {
      const field = fieldOf(view, i);
      if (field < 0) continue;
      seen |= 1 << field;
      this.#set(view, field, i);
    }
    if ((seen & REQUIRED) !== REQUIRED) {
      const missing = NAMES.find((_, field) => (REQUIRED & ~seen & (1 << field)) !== 0);
      throw new HeaderError(`the custom field <${missing}> is null`);
    }
    const { decision } = this;
    if (decision !== DECISION_UNKNOWN && decision !== DECISION_COMMIT && decision !== DECISION_ROLLBACK) {
      throw new HeaderError("commitOrRollback field wrong");
    }
  }

  #set(view: HeaderView, field: number, i: number): void {
    switch (field) {
      case GROUP:
        this.groupStart = view.valueStart[i];
        this.groupEnd = view.valueEnd[i];
        break;
      case HALF_OFFSET:
        this.halfOffset = view.long(i);
        break;
      case LOG_OFFSET:
        this.logOffset = view.long(i);
        break;
      case DECISION:
        this.decision = view.int(i);
        break;
      case FROM_CHECK:
        this.fromCheck = view.boolean(i);
        break;
      case MESSAGE_ID:
        this.#messageIdField = i;
        break;
    }
  }
}

/** Number of the field in NAMES, -1 for another one: told by length and first letter before it is compared. */
function fieldOf(view: HeaderView, i: number): number {
  const at = view.keyStart[i];
  let field = -1;
  switch (view.keyEnd[i] - at) {
    case 5:
      field = MESSAGE_ID;
      break;
    case 13:
      field = GROUP;
      break;
    case 15:
      field = LOG_OFFSET;
      break;
    case 16:
      field = DECISION;
      break;
    case 20:
      field = view.buf[at] === 0x66 ? FROM_CHECK : HALF_OFFSET;
      break;
  }
  return field >= 0 && view.isNamed(i, NAMES[field]) ? field : -1;
}
