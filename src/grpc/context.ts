/** Who calls and how, from the headers that every 5.x client sends (Apache: ContextInitPipeline, ProxyContext). */
import { LanguageCode } from "../protocol/generated/languages.ts";
import { CURRENT_VERSION, MQVersion } from "../protocol/generated/versions.ts";
import type { RpcCall } from "./server.ts";
import { Refusal } from "./status.ts";

/** One call with its headers read. */
export interface Context {
  readonly call: RpcCall;
  readonly clientId: string;
  /** LanguageCode name. */
  readonly language: string;
  /** As the client writes it, such as `5.0.8`. */
  readonly clientVersion: string;
}

/** @throws Refusal when the client does not say who it is */
export function contextOf(call: RpcCall): Context {
  const clientId = call.metadata("x-mq-client-id");
  if (clientId.trim() === "") throw new Refusal("CLIENT_ID_REQUIRED", "client id cannot be empty");
  return {
    call,
    clientId,
    language: languageOf(call.metadata("x-mq-language")),
    clientVersion: call.metadata("x-mq-client-version"),
  };
}

/** Apache refuses languages that its remoting protocol does not know; here they are OTHER. */
function languageOf(name: string): string {
  return Object.hasOwn(LanguageCode, name) ? name : "OTHER";
}

/** The MQVersion ordinal that the remoting side sees: what no MQVersion names (as `5.0.8`) counts as the current one. */
export function versionOf(clientVersion: string): number {
  const named = (MQVersion as Record<string, number>)[clientVersion.toUpperCase()];
  return named ?? CURRENT_VERSION;
}
