/**
 * Access control of the remoting ports: every request is decided before its row hears of it (Apache: AuthenticationPipeline,
 * AuthorizationPipeline). Answers NO_PERMISSION with Apache's words.
 */
import { Interner } from "../base/interner.ts";
import type { Access } from "../protocol/access.ts";
import type { Gate, HotCall, Reply } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { type DecisionParts, Decisions } from "./decisions.ts";
import { ACCESS_KEY, SIGNATURE, signatureOf } from "./signature.ts";
import { ipOf } from "./sourceIps.ts";

const ATTACHMENT = "auth";

export class RemotingGate implements Gate {
  readonly #parts: DecisionParts;
  readonly #usernames = new Interner();
  readonly #requests = new Map<number, string>(
    Object.entries(RequestCode).map(([name, code]) => [code, name] as [number, string]),
  );
  /** The request that is being decided; one at a time. */
  #call: HotCall | undefined;
  readonly #sign = (password: string): string => {
    const { view, buf, bodyStart, bodyEnd } = this.#call as HotCall;
    return signatureOf(view, buf.subarray(bodyStart, bodyEnd), password);
  };

  constructor(parts: DecisionParts) {
    this.#parts = parts;
  }

  refuse(call: HotCall, access: Access | undefined): Reply | undefined {
    const { settings } = this.#parts;
    const { view } = call;
    let decisions = call.attachments.get(ATTACHMENT) as Decisions | undefined;
    if (decisions === undefined) {
      decisions = new Decisions(this.#parts, ipOf(call.caller.address));
      call.attachments.set(ATTACHMENT, decisions);
    }
    const request = this.#requests.get(view.code) ?? String(view.code);
    const key = view.find(ACCESS_KEY);
    const username = key < 0 ? undefined : this.#usernames.get(view.buf, view.valueStart[key], view.valueEnd[key]);
    if (decisions.isWhite(username)) return undefined;
    this.#call = call;
    let refusal: string | undefined;
    if (settings.authentication && !isListed(settings.authenticationWhitelist, view.code)) {
      refusal = decisions.notAuthentic(request, username, view.text(SIGNATURE), this.#sign);
    }
    if (
      refusal === undefined &&
      settings.authorization &&
      access !== undefined &&
      !isListed(settings.authorizationWhitelist, view.code)
    ) {
      refusal = decisions.notAllowed(request, username, access, call);
    }
    this.#call = undefined;
    return refusal === undefined ? undefined : { code: ResponseCode.NO_PERMISSION, remark: refusal };
  }
}

function isListed(whitelist: ReadonlySet<string>, code: number): boolean {
  return whitelist.size > 0 && whitelist.has(String(code));
}
