/** A client's connection as handlers see it; remembers what it was told and answers what a test wants. */
import { Buffer } from "node:buffer";
import { hostBytes } from "../base/host.ts";
import type { Answer, Call, Caller } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { MQVersion } from "../protocol/generated/versions.ts";

let ids = 0;

export interface Told {
  code: number;
  header: Record<string, string | number | boolean | undefined>;
  body: Buffer | string | undefined;
}

export class FakeCaller implements Caller {
  readonly id = ++ids;
  readonly address: string;
  readonly host: Buffer;
  readonly reachedBy = "127.0.0.1";
  open = true;
  readonly told: Told[] = [];
  readonly asked: Told[] = [];
  answer: (question: Told) => Promise<Answer> = async () => answerOf({});
  readonly #onClose: (() => void)[] = [];

  constructor(address = `127.0.0.1:${40_000 + ids}`) {
    this.address = address;
    const [ip, port] = address.split(":");
    this.host = hostBytes(ip, Number(port));
  }

  tell(code: number, header: Told["header"], body?: Buffer | string): boolean {
    if (this.open) this.told.push({ code, header, body });
    return this.open;
  }

  ask(code: number, header: Told["header"], body: Buffer | string | undefined): Promise<Answer> {
    const question = { code, header, body };
    this.asked.push(question);
    return this.answer(question);
  }

  onClose(fn: () => void): void {
    if (this.open) this.#onClose.push(fn);
    else fn();
  }

  close(): void {
    this.open = false;
    for (const fn of this.#onClose.splice(0)) fn();
  }
}

/** An answer with SUCCESS and nothing else, unless given. */
export function answerOf(given: Partial<Answer>): Answer {
  return { code: ResponseCode.SUCCESS, remark: undefined, fields: new Map(), body: Buffer.alloc(0), ...given };
}

/** A request as the dispatcher hands it to a handler. */
export function callOf<H>(
  code: number,
  header: H,
  given: {
    body?: string | Buffer;
    caller?: Caller;
    version?: number;
    language?: string;
    fields?: Record<string, string>;
  } = {},
): Call<H> {
  return {
    code,
    header,
    body: typeof given.body === "string" ? Buffer.from(given.body) : (given.body ?? Buffer.alloc(0)),
    caller: given.caller ?? new FakeCaller(),
    version: given.version ?? MQVersion.V5_5_0,
    language: given.language ?? "JAVA",
    oneway: false,
    field: (name) => given.fields?.[name],
  };
}
