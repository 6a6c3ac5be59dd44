/**
 * The 5.x clients of this server (Apache: GrpcChannelManager, GrpcClientChannel): who they are, what they said in their
 * settings, and the Telemetry stream by which they can be told and asked something. Towards the rest of the broker each
 * is a {@link Caller} like a remoting connection. A client outlives its streams; it is gone when it says goodbye, or when
 * its registration expired.
 */
import { Buffer } from "node:buffer";
import type { Clock, Timer } from "../base/clock.ts";
import { GRPC_CLIENTS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { Clients } from "../broker/clients.ts";
import { Property } from "../message/properties.ts";
import { RecordView } from "../message/record.ts";
import type { Answer, Caller } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import type { Context } from "./context.ts";
import { Code, type Settings, type Status, type TelemetryCommand } from "./generated/messages.ts";
import { type MessageSource, outMessage, sourceOf } from "./outMessage.ts";
import type { Peer } from "./peer.ts";
import type { Init } from "./proto.ts";
import { Refusal } from "./status.ts";

type Fields = Record<string, string | number | boolean | undefined>;

/** Where a client's Telemetry stream is written; false when it is gone or full. */
export type TelemetrySink = (command: Init<TelemetryCommand>) => boolean;

/** Told about what a client is asked or loses. */
export interface ClientListener {
  /** A half message is checked: what EndTransaction will need is in the header. */
  transactionChecked(producerGroup: string, header: Fields): void;
  /** The client is gone for good. */
  removed(client: GrpcClient): void;
}

const SCAN_PERIOD_MS = 5_000;
/** How long a client may be without registration and stream before its settings are dropped. */
const FORGET_AFTER_MS = 120_000;
/** How long a call waits for the settings of its client. */
const SETTINGS_WAIT_MS = 2_000;

let ids = 0;

interface Question {
  code: number;
  resolve(answer: Answer): void;
  timer: Timer;
}

export class GrpcClient implements Caller {
  /** Negative: remoting connections count upwards. */
  readonly id = --ids;
  readonly clientId: string;
  address = "";
  host: Buffer = Buffer.alloc(8);
  reachedBy = "";
  open = true;
  /** As the client said; see settings.ts for what it gets back. */
  settings: Settings | undefined;
  /** Monotonic ms of the last sign of life. */
  seenAt = 0;
  #telemetry: TelemetrySink | undefined;
  readonly #owner: GrpcClients;
  readonly #closeListeners: (() => void)[] = [];
  readonly #questions = new Map<string, Question>();
  #nonce = 0;

  constructor(clientId: string, owner: GrpcClients) {
    this.clientId = clientId;
    this.#owner = owner;
  }

  /** The group it consumes for; undefined for a producer. */
  get group(): string | undefined {
    return this.settings?.subscription?.group?.name;
  }

  comesFrom(peer: Peer): void {
    this.address = peer.address;
    this.host = peer.host;
    this.reachedBy = peer.reachedBy;
  }

  /** Commands go to the newest stream. */
  attach(sink: TelemetrySink): void {
    this.#telemetry = sink;
  }

  detach(sink: TelemetrySink): void {
    if (this.#telemetry === sink) this.#telemetry = undefined;
  }

  get attached(): boolean {
    return this.#telemetry !== undefined;
  }

  send(command: Init<TelemetryCommand>): boolean {
    return this.#telemetry?.(command) ?? false;
  }

  // ---- Caller ----

  tell(code: number, header: Fields, body?: Buffer | string): boolean {
    switch (code) {
      case RequestCode.CHECK_TRANSACTION_STATE:
        return this.#checkTransaction(header, body);
      case RequestCode.NOTIFY_UNSUBSCRIBE_LITE:
        return this.send({ notifyUnsubscribeLiteCommand: { liteTopic: String(header.liteTopic ?? "") } });
      default:
        // 5.x clients ask for their assignments every few seconds; nothing else is for them.
        return this.open;
    }
  }

  ask(code: number, header: Fields, body: Buffer | string | undefined, timeoutMs: number): Promise<Answer> {
    if (code === RequestCode.GET_CONSUMER_RUNNING_INFO) {
      if (String(header.jstackEnable) !== "true") {
        return Promise.reject(new Error("a 5.x client can only print its thread stacks (jstack)"));
      }
      return this.#ask(code, timeoutMs, (nonce) => ({ printThreadStackTraceCommand: { nonce } }));
    }
    if (code === RequestCode.CONSUME_MESSAGE_DIRECTLY) {
      const { topic, source } = readRecord(body);
      const message = outMessage(source, topic, source.properties.get(Property.POP_CK), this.#owner.clock.now());
      return this.#ask(code, timeoutMs, (nonce) => ({ verifyMessageCommand: { nonce, message } }));
    }
    return Promise.reject(new Error(`a 5.x client cannot be asked for request code ${code}`));
  }

  onClose(fn: () => void): void {
    if (this.open) this.#closeListeners.push(fn);
    else fn();
  }

  // ---- conversation ----

  /** A client's answer to a command with a nonce. */
  answered(nonce: string, status: Status | null, stack: string | undefined): void {
    const question = this.#questions.get(nonce);
    if (question === undefined) return;
    this.#questions.delete(nonce);
    this.#owner.clock.clear(question.timer);
    question.resolve(
      question.code === RequestCode.GET_CONSUMER_RUNNING_INFO
        ? runningInfo(status?.code ?? Code.OK, stack)
        : directResult(status?.code ?? Code.OK),
    );
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.#telemetry = undefined;
    for (const { resolve, timer } of this.#questions.values()) {
      this.#owner.clock.clear(timer);
      resolve(answer(ResponseCode.SYSTEM_ERROR, "the client is gone"));
    }
    this.#questions.clear();
    for (const fn of this.#closeListeners.splice(0)) fn();
  }

  #ask(code: number, timeoutMs: number, command: (nonce: string) => Init<TelemetryCommand>): Promise<Answer> {
    const nonce = String(this.#nonce++);
    if (!this.send(command(nonce))) return Promise.reject(new Error("the client has no Telemetry stream open"));
    return new Promise((resolve) => {
      const wait = Math.min(timeoutMs, this.#owner.relayTimeoutMs);
      const timer = this.#owner.clock.after(wait, () => {
        this.#questions.delete(nonce);
        resolve(answer(ResponseCode.SYSTEM_BUSY, "call remote timeout"));
      });
      this.#questions.set(nonce, { code, resolve, timer });
    });
  }

  #checkTransaction(header: Fields, body: Buffer | string | undefined): boolean {
    const { topic, source } = readRecord(body);
    const message = outMessage(source, topic, undefined, this.#owner.clock.now());
    this.#owner.listener.transactionChecked(source.properties.get(Property.PRODUCER_GROUP) ?? "", header);
    return this.send({
      recoverOrphanedTransactionCommand: { message, transactionId: String(header.transactionId ?? "") },
    });
  }
}

export class GrpcClients {
  readonly clock: Clock;
  readonly relayTimeoutMs: number;
  readonly listener: ClientListener;
  readonly #log: Logger;
  readonly #registrations: Clients;
  readonly #byId = new Map<string, GrpcClient>();
  /** Calls that wait for their client's settings. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #timer: Timer | undefined;

  constructor(clock: Clock, log: Logger, registrations: Clients, relayTimeoutMs: number, listener: ClientListener) {
    this.clock = clock;
    this.#log = log;
    this.#registrations = registrations;
    this.relayTimeoutMs = relayTimeoutMs;
    this.listener = listener;
  }

  /** Starts looking for clients that are registered nowhere any more. */
  start(): void {
    this.#timer = this.clock.every(SCAN_PERIOD_MS, () => this.scan());
  }

  stop(): void {
    this.clock.clear(this.#timer);
    for (const client of [...this.#byId.values()]) this.remove(client);
    for (const waiting of [...this.#waiting.values()]) for (const wake of [...waiting]) wake();
  }

  get size(): number {
    return this.#byId.size;
  }

  find(clientId: string): GrpcClient | undefined {
    return this.#byId.get(clientId);
  }

  /** The client of a call, made when it is new. @throws Refusal when there are too many */
  ensure(context: Context): GrpcClient {
    let client = this.#byId.get(context.clientId);
    if (client === undefined) {
      if (this.#byId.size >= GRPC_CLIENTS_MAX) {
        throw new Refusal("TOO_MANY_REQUESTS", `${this.#byId.size} clients are connected already`);
      }
      client = new GrpcClient(context.clientId, this);
      this.#byId.set(context.clientId, client);
    }
    client.comesFrom(context.call.peer);
    client.seenAt = this.clock.monotonicMs();
    return client;
  }

  /** A client's settings were taken. */
  settled(client: GrpcClient): void {
    const waiting = this.#waiting.get(client.clientId);
    this.#waiting.delete(client.clientId);
    for (const wake of waiting ?? []) wake();
  }

  /**
   * The settings of a client, waited for a moment: some clients begin to receive while their first Telemetry message is
   * still under way.
   */
  async settingsOf(clientId: string): Promise<Settings | undefined> {
    const known = this.#byId.get(clientId)?.settings;
    if (known !== undefined) return known;
    await new Promise<void>((resolve) => {
      const waiting = this.#waiting.get(clientId) ?? new Set();
      this.#waiting.set(clientId, waiting);
      const wake = () => {
        this.clock.clear(timer);
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(clientId) === waiting) this.#waiting.delete(clientId);
        resolve();
      };
      const timer = this.clock.after(SETTINGS_WAIT_MS, wake);
      waiting.add(wake);
    });
    return this.#byId.get(clientId)?.settings;
  }

  /** As whom the broker sees the maker of a call: the client if it is known, else whoever called. */
  callerOf(context: Context): Caller {
    const known = this.#byId.get(context.clientId);
    if (known !== undefined && known.address === context.call.peer.address) return known;
    const caller = new GrpcClient(context.clientId, this);
    caller.comesFrom(context.call.peer);
    return caller;
  }

  /** Forgets a client and takes it out of its groups. */
  remove(client: GrpcClient): void {
    if (this.#byId.get(client.clientId) !== client) return;
    this.#byId.delete(client.clientId);
    this.listener.removed(client);
    client.close();
  }

  scan(): void {
    const limit = this.clock.monotonicMs() - FORGET_AFTER_MS;
    for (const client of [...this.#byId.values()]) {
      const { group } = client;
      const registered = group !== undefined && this.#registrations.consumerGroup(group)?.members.has(client.id);
      // A consumer's registration expires by missing heartbeats; a producer has one per topic, its heartbeats say as much.
      if (registered || (client.seenAt >= limit && (group === undefined || client.settings === undefined))) continue;
      this.#log.info({ clientId: client.clientId, group, address: client.address }, "gRPC client forgotten");
      this.remove(client);
    }
  }
}

function answer(code: number, remark: string | undefined, body?: string): Answer {
  return { code, remark, fields: new Map(), body: Buffer.from(body ?? "") };
}

function runningInfo(code: number, stack: string | undefined): Answer {
  if (code === Code.OK) {
    const empty = { mqTable: {}, properties: {}, statusTable: {}, subscriptionSet: [] };
    return answer(ResponseCode.SUCCESS, "", writeJavaJson({ jstack: stack ?? "", ...empty }));
  }
  return code === Code.VERIFY_FIFO_MESSAGE_UNSUPPORTED
    ? answer(ResponseCode.NO_PERMISSION, "forbidden to verify message")
    : answer(ResponseCode.SYSTEM_ERROR, "verify message failed");
}

const CONSUME_RESULTS = new Map<number, string>([
  [Code.OK, "CR_SUCCESS"],
  [Code.FAILED_TO_CONSUME_MESSAGE, "CR_LATER"],
  [Code.MESSAGE_CORRUPTED, "CR_RETURN_NULL"],
]);

function directResult(code: number): Answer {
  const result = {
    autoCommit: true,
    consumeResult: CONSUME_RESULTS.get(code),
    order: false,
    remark: "from gRPC client",
    spentTimeMills: 0,
  };
  return answer(ResponseCode.SUCCESS, "", writeJavaJson(result));
}

/** The message that a request of the broker to its client carries as its body. */
function readRecord(body: Buffer | string | undefined): { topic: string; source: MessageSource } {
  const view = new RecordView();
  if (!(body instanceof Buffer) || view.read(body, 0, body.length, false) !== "record") {
    throw new Error("the message to ask about cannot be read");
  }
  return { topic: view.topic(), source: sourceOf(view) };
}
