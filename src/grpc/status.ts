/**
 * Outcomes as 5.x clients know them: a code of apache.rocketmq.v2.Code and words, inside the reply (Apache:
 * ResponseBuilder, GrpcProxyException). The gRPC status of a call is OK even when it was refused.
 */
import type { Reply } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { Code } from "./generated/messages.ts";

export interface OutStatus {
  code: number;
  message: string;
}

const NAMES = new Map<number, string>(Object.entries(Code).map(([name, code]) => [code, name]));

export const OK: OutStatus = Object.freeze({ code: Code.OK, message: "OK" });

/** A refusal; becomes the status of the reply. */
export class Refusal extends Error {
  readonly code: number;

  constructor(code: keyof typeof Code, message: string) {
    super(message);
    this.code = Code[code];
  }

  get status(): OutStatus {
    return { code: this.code, message: this.message };
  }
}

/** The status of a code by itself: its name is the message. */
export function bare(code: number): OutStatus {
  return { code, message: NAMES.get(code) ?? String(code) };
}

/** What went wrong, as a status: a refusal as it is, everything else is the server's fault. */
export function statusOf(error: unknown): OutStatus {
  if (error instanceof Refusal) return error.status;
  return { code: Code.INTERNAL_SERVER_ERROR, message: error instanceof Error ? error.message : String(error) };
}

const BY_RESPONSE_CODE = new Map<number, number>([
  [ResponseCode.SUCCESS, Code.OK],
  [ResponseCode.SYSTEM_BUSY, Code.TOO_MANY_REQUESTS],
  [ResponseCode.REQUEST_CODE_NOT_SUPPORTED, Code.NOT_IMPLEMENTED],
  [ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, Code.CONSUMER_GROUP_NOT_FOUND],
  [ResponseCode.TOPIC_NOT_EXIST, Code.TOPIC_NOT_FOUND],
  [ResponseCode.LMQ_QUOTA_EXCEEDED, Code.LITE_TOPIC_QUOTA_EXCEEDED],
  [ResponseCode.LITE_SUBSCRIPTION_QUOTA_EXCEEDED, Code.LITE_SUBSCRIPTION_QUOTA_EXCEEDED],
]);

/** The status that stands for a remoting reply. */
export function statusOfReply(reply: Pick<Reply, "code" | "remark">): OutStatus {
  const code = BY_RESPONSE_CODE.get(reply.code) ?? Code.INTERNAL_SERVER_ERROR;
  return { code, message: reply.remark ?? String(reply.code) };
}

/** One status for many: the common one, or MULTIPLE_RESULTS where they differ. `empty` words the case of none. */
export function overall(statuses: readonly OutStatus[], empty: string): OutStatus {
  const codes = new Set(statuses.map((status) => status.code));
  if (codes.size > 1) return bare(Code.MULTIPLE_RESULTS);
  const [code] = codes;
  return code === undefined ? { code: Code.INTERNAL_SERVER_ERROR, message: empty } : bare(code);
}
