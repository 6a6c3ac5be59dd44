/**
 * Access control of the gRPC protocol: who calls, by the authorization header, and what each message wants (Apache: the proxy's
 * AuthenticationPipeline and AuthorizationPipeline, DefaultAuthorizationContextBuilder). Decided before a method hears of it;
 * refused with status UNAUTHORIZED inside the reply. Messages that Apache's proxy does not take, or takes without a look, have
 * rules of ours: offsets and lite subscriptions, and every message of a send, not only its first one.
 *
 *   authorization: MQv2-HMAC-SHA1 Credential=<user>[/...], SignedHeaders=x-mq-date-time, Signature=<hex>
 */
import { PUB, PUB_SUB, SUB, topicOrGroup } from "../auth/accessRules.ts";
import { type DecisionParts, Decisions } from "../auth/decisions.ts";
import { AuthError } from "../auth/policies.ts";
import { hexSignatureOf } from "../auth/signature.ts";
import { ipOf } from "../auth/sourceIps.ts";
import type { Wants } from "../protocol/access.ts";
import { ClientType, type MessageQueue, type Messages, type Resource } from "./generated/messages.ts";
import type { Peer } from "./peer.ts";
import type { RpcCall } from "./server.ts";
import { Refusal } from "./status.ts";

type Rule<N extends keyof Messages> = (request: Messages[N], wants: Wants) => void;

const CONSUMERS: ReadonlySet<number> = new Set([
  ClientType.PUSH_CONSUMER,
  ClientType.SIMPLE_CONSUMER,
  ClientType.PULL_CONSUMER,
  ClientType.LITE_PUSH_CONSUMER,
  ClientType.LITE_SIMPLE_CONSUMER,
]);

const publish = (wants: Wants, topic: Resource | null): void => wants.topic(nameOf(topic, "topic"), PUB);

const consume = (wants: Wants, group: Resource | null, topic: Resource | null): void => {
  wants.group(nameOf(group, "group"), SUB);
  topicOrGroup(wants, nameOf(topic, "topic"), SUB);
};

const consumeQueue = (wants: Wants, group: Resource | null, queue: MessageQueue | null): void => {
  if (queue === null) throw new AuthError("messageQueue is null.");
  consume(wants, group, queue.topic);
};

/** Every message that a client may send, with its rule. */
const RULES: { readonly [N in keyof Messages]?: Rule<N> } = {
  QueryRouteRequest: ({ topic }, wants) => wants.topic(nameOf(topic, "topic"), PUB_SUB),
  QueryAssignmentRequest: ({ group, topic }, wants) => consume(wants, group, topic),
  HeartbeatRequest: ({ clientType, group }, wants) => {
    if (CONSUMERS.has(clientType)) wants.group(nameOf(group, "group"), SUB);
  },
  NotifyClientTerminationRequest: ({ group }, wants) => {
    if (group !== null && group.name.trim() !== "") wants.group(group.name, SUB);
  },
  SendMessageRequest: ({ messages }, wants) => {
    if (messages.length === 0) throw new AuthError("message is null.");
    for (const { topic } of messages) publish(wants, topic);
  },
  EndTransactionRequest: ({ topic }, wants) => publish(wants, topic),
  RecallMessageRequest: ({ topic }, wants) => publish(wants, topic),
  AckMessageRequest: ({ group, topic }, wants) => consume(wants, group, topic),
  ChangeInvisibleDurationRequest: ({ group }, wants) => wants.group(nameOf(group, "group"), SUB),
  ForwardMessageToDeadLetterQueueRequest: ({ group, topic }, wants) => consume(wants, group, topic),
  ReceiveMessageRequest: ({ group, messageQueue }, wants) => consumeQueue(wants, group, messageQueue),
  PullMessageRequest: ({ group, messageQueue }, wants) => consumeQueue(wants, group, messageQueue),
  UpdateOffsetRequest: ({ group, messageQueue }, wants) => consumeQueue(wants, group, messageQueue),
  GetOffsetRequest: ({ group, messageQueue }, wants) => consumeQueue(wants, group, messageQueue),
  QueryOffsetRequest: ({ messageQueue }, wants) => {
    if (messageQueue === null) throw new AuthError("messageQueue is null.");
    topicOrGroup(wants, nameOf(messageQueue.topic, "topic"), SUB);
  },
  SyncLiteSubscriptionRequest: ({ group, topic }, wants) => consume(wants, group, topic),
  TelemetryCommand: ({ settings }, wants) => {
    for (const topic of settings?.publishing?.topics ?? []) publish(wants, topic);
    const subscription = settings?.subscription;
    if (!subscription) return;
    wants.group(nameOf(subscription.group, "group"), SUB);
    for (const { topic } of subscription.subscriptions) wants.topic(nameOf(topic, "topic"), SUB);
  },
};

/** No broker says who a caller is; which one and why is for the log. */
const UNDECIDED = "the user cannot be looked up. Please try again.";

export class GrpcAccess {
  readonly #parts: DecisionParts;
  readonly #decisions = new WeakMap<Peer, Decisions>();

  constructor(parts: DecisionParts) {
    this.#parts = parts;
  }

  /**
   * @returns a promise where the caller has to be asked for first
   * @throws Refusal (or rejects with it) when the caller is not who he says he is, or may not do what `request` wants
   */
  check<N extends keyof Messages>(call: RpcCall, name: N, request: Messages[N]): void | Promise<void> {
    const { users, settings } = this.#parts;
    const credentials = settings.authentication ? credentialsOf(call) : NOBODY;
    const { username } = credentials;
    const asking = username === undefined || username === "" ? undefined : users.whenKnown?.(username);
    if (asking === undefined) {
      this.#decide(call, name, request, credentials);
      return undefined;
    }
    return asking.then(
      () => this.#decide(call, name, request, credentials),
      (error: Error) => {
        this.#parts.log.warn({ user: username, err: error.message }, "a caller could not be asked for");
        throw new Refusal("UNAUTHORIZED", UNDECIDED);
      },
    );
  }

  #decide<N extends keyof Messages>(
    call: RpcCall,
    name: N,
    request: Messages[N],
    credentials: CallerCredentials,
  ): void {
    const { settings } = this.#parts;
    let decisions = this.#decisions.get(call.peer);
    if (decisions === undefined) {
      decisions = new Decisions(this.#parts, ipOf(call.peer.address));
      this.#decisions.set(call.peer, decisions);
    }
    const rpc = `apache.rocketmq.v2.${name}`;
    let refusal: string | undefined;
    const { username } = credentials;
    if (settings.authentication) {
      if (decisions.isWhite(username)) return;
      if (!settings.authenticationWhitelist.has(rpc)) {
        refusal = decisions.notAuthentic(name, username, credentials.signature, (password) =>
          hexSignatureOf(credentials.date, password),
        );
      }
    }
    if (refusal === undefined && settings.authorization && !settings.authorizationWhitelist.has(rpc)) {
      const rule = RULES[name] as Rule<N> | undefined;
      if (rule === undefined) throw new Error(`${name}: nothing says what such a request wants (grpc/access.ts)`);
      refusal = decisions.notAllowed(name, username, rule, request);
    }
    if (refusal !== undefined) throw new Refusal("UNAUTHORIZED", refusal);
  }
}

interface CallerCredentials {
  readonly username: string | undefined;
  /** Lower-case hex. */
  readonly signature: string | undefined;
  readonly date: string;
}

const NOBODY: CallerCredentials = { username: undefined, signature: undefined, date: "" };

/** Who signed. @throws Refusal, in Apache's words, for a header that is none */
function credentialsOf(call: RpcCall): CallerCredentials {
  const header = call.metadata("authorization");
  if (header === "") return NOBODY;
  const date = call.metadata("x-mq-date-time");
  if (date === "") throw new Refusal("UNAUTHORIZED", "datetime is null.");
  const space = header.indexOf(" ");
  if (space < 0) throw new Refusal("UNAUTHORIZED", "authentication header is incorrect.");
  let username: string | undefined;
  let signature: string | undefined;
  for (const pair of header.slice(space + 1).split(",")) {
    const text = pair.trim();
    const equals = text.indexOf("=");
    if (equals < 0) {
      throw new Refusal("UNAUTHORIZED", "authentication keyValues length is incorrect, actual length=1.");
    }
    const value = text.slice(equals + 1);
    if (text.startsWith("Credential=")) username = value.split("/")[0];
    else if (text.startsWith("Signature=")) {
      if (!/^([0-9a-fA-F]{2})*$/.test(value)) throw new Refusal("UNAUTHORIZED", "create authentication context error.");
      signature = value.toLowerCase();
    }
  }
  return { username, signature, date };
}

function nameOf(resource: Resource | null, what: string): string {
  if (resource === null || resource.name.trim() === "") throw new AuthError(`${what} is null.`);
  return resource.name;
}
