/**
 * The MessagingService of apache.rocketmq.v2: its methods, each with its codec and what answers it. A refusal travels in
 * the reply's status; only what is no such request ends with a gRPC status.
 */
import type { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Clients } from "../broker/clients.ts";
import type { ProxyConfig } from "../config/index.ts";
import type { GrpcAccess } from "./access.ts";
import type { Awaitable, Backend } from "./backend.ts";
import { GrpcClients } from "./clients.ts";
import { type Context, contextOf } from "./context.ts";
import type { Messages, Status } from "./generated/messages.ts";
import { GrpcError } from "./grpcStatus.ts";
import { goodbyeOf, syncLiteSubscription } from "./lite.ts";
import { getOffset, queryOffset, updateOffset } from "./offsets.ts";
import { Outbound } from "./outbound.ts";
import { type Codec, codec, type Init } from "./proto.ts";
import { pullMessage } from "./pull.ts";
import { Receiving } from "./receive.ts";
import { Renewals } from "./renewals.ts";
import { queryAssignment, queryRoute } from "./route.ts";
import { Producing } from "./send.ts";
import type { FrameSink, Method } from "./server.ts";
import { ackMessage, changeInvisibleDuration, deadLetter, forwardToDeadLetterQueue } from "./settle.ts";
import { Refusal, statusOf } from "./status.ts";
import { consumption, heartbeat, openTelemetry, terminate } from "./telemetry.ts";
import { HalfMessages } from "./transactions.ts";

const SERVICE = "/apache.rocketmq.v2.MessagingService/";

export interface ServiceParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly config: ProxyConfig;
  readonly backend: Backend;
  /** The broker's table of producers and consumers, remoting ones included. */
  readonly registrations: Clients;
  /** Who may do what; absent: everybody everything. */
  readonly access?: GrpcAccess | undefined;
  /** Bytes that may wait for slow clients, if not the usual. */
  readonly outboundBytesMax?: number | undefined;
}

type Named<N extends string> = N extends keyof Messages ? Messages[N] : never;

export class MessagingService {
  readonly methods: readonly Method[];
  readonly clients: GrpcClients;
  readonly #halfMessages: HalfMessages;
  readonly #renewals: Renewals;

  constructor(parts: ServiceParts) {
    const { clock, config, log, registrations } = parts;
    const halfMessages = new HalfMessages(
      clock,
      config.transactionDataExpireMillis,
      config.transactionDataExpireScanPeriodMillis,
      config.transactionDataMaxNum,
    );
    const clients = new GrpcClients(clock, log, registrations, config.grpcProxyRelayRequestTimeoutInSeconds * 1000, {
      transactionChecked: (producerGroup, header) =>
        halfMessages.add(producerGroup, String(header.transactionId ?? ""), {
          brokerName: String(header.bname ?? ""),
          tranStateTableOffset: Number(header.tranStateTableOffset),
          commitLogOffset: Number(header.commitLogOffset),
        }),
      removed: (client) => {
        renewals.clientGone(client.clientId, client.group);
        const goodbye = goodbyeOf(client);
        if (goodbye === undefined) return;
        parts.backend
          .subscribeLite(goodbye, client)
          .catch((error: Error) => log.warn({ err: error, clientId: client.clientId }, "lite subscriptions were left"));
      },
    });
    const renewals = new Renewals(clock, log, config, parts.backend, (clientId, group) => {
      const client = clients.find(clientId);
      return client !== undefined && (registrations.consumerGroup(group)?.members.has(client.id) ?? false);
    });
    const callerOf = (context: Context) => clients.callerOf(context);
    const producing = new Producing({ ...parts, halfMessages, callerOf }, parts.random.int(1 << 30));
    const telemetry = { ...parts, clients };
    const settling = { ...parts, renewals, callerOf };
    const outbound = new Outbound(clock, log, parts.outboundBytesMax);
    const receiving = new Receiving({
      ...settling,
      outbound,
      clients,
      consumptionOf: (context) => consumption(telemetry, context),
      deadLetter: (popped, group, topic, caller) => deadLetter(parts, popped, group, topic, caller),
    });
    this.clients = clients;
    this.#renewals = renewals;
    this.#halfMessages = halfMessages;
    this.methods = [
      unary(parts, "QueryRoute", (context, request) => queryRoute(parts, context, request)),
      unary(parts, "QueryAssignment", (context, request) => queryAssignment(parts, context, request)),
      unary(parts, "Heartbeat", (context, request) => heartbeat(telemetry, context, request)),
      unary(parts, "NotifyClientTermination", (context, request) => terminate(telemetry, context, request)),
      unary(parts, "SendMessage", (context, request) => producing.send(context, request)),
      unary(parts, "EndTransaction", (_, request) => producing.endTransaction(request)),
      unary(parts, "RecallMessage", (context, request) => producing.recall(context, request)),
      unary(parts, "AckMessage", (context, request) => ackMessage(settling, context, request)),
      unary(parts, "ChangeInvisibleDuration", (context, request) =>
        changeInvisibleDuration(settling, context, request),
      ),
      unary(parts, "ForwardMessageToDeadLetterQueue", (context, request) =>
        forwardToDeadLetterQueue(settling, context, request),
      ),
      unary(parts, "UpdateOffset", (context, request) => updateOffset(settling, context, request)),
      unary(parts, "GetOffset", (context, request) => getOffset(settling, context, request)),
      unary(parts, "QueryOffset", (context, request) => queryOffset(settling, context, request)),
      unary(parts, "SyncLiteSubscription", (context, request) => syncLiteSubscription(telemetry, context, request)),
      stream(parts, "PullMessage", (context, request, sink) =>
        pullMessage({ ...parts, outbound }, context, request, sink),
      ),
      stream(parts, "ReceiveMessage", (context, request, sink) => receiving.receive(context, request, sink)),
      { path: `${SERVICE}Telemetry`, kind: "bidi", open: (call, sink) => openTelemetry(telemetry, call, sink) },
    ];
  }

  start(): void {
    this.clients.start();
    this.#halfMessages.start();
    this.#renewals.start();
  }

  /** Gives back what clients were working on; the broker must still be there. */
  async stop(): Promise<void> {
    await this.#renewals.stop();
    this.clients.stop();
    this.#halfMessages.stop();
  }
}

/** A method whose answer is a stream, the first of which carries the status of a refusal. */
function stream<N extends "ReceiveMessage" | "PullMessage">(
  { access }: ServiceParts,
  name: N,
  handle: (context: Context, request: Messages[`${N}Request`], sink: FrameSink) => Promise<void>,
): Method {
  const requests = codec(`${name}Request`);
  const replies = codec(`${name}Response`);
  return {
    path: SERVICE + name,
    kind: "serverStream",
    handle: (call, bytes, sink) => {
      const request = decode(requests, name, bytes) as Messages[`${N}Request`];
      const refuse = (error: unknown): undefined => {
        sink.write(replies.encodeFrame({ status: statusOf(error) } as never));
        sink.end();
      };
      const go = () => {
        let context: Context;
        try {
          context = contextOf(call);
        } catch (error) {
          return refuse(error);
        }
        return handle(context, request, sink);
      };
      let asking: Promise<void> | undefined | void;
      try {
        asking = access?.check(call, `${name}Request`, request);
      } catch (error) {
        return refuse(error);
      }
      return asking instanceof Promise ? asking.then(go, refuse) : go();
    },
  };
}

function decode<T>(requests: Codec<T>, name: string, bytes: Buffer): T {
  try {
    return requests.decode(bytes);
  } catch (error) {
    throw new GrpcError("INTERNAL", `the request is no ${name}Request: ${(error as Error).message}`);
  }
}

/** A unary method whose messages are called `NameRequest` and `NameResponse`. */
function unary<N extends string>(
  { log, access }: ServiceParts,
  name: N,
  handle: (context: Context, request: Named<`${N}Request`>) => Awaitable<Init<Named<`${N}Response`>>>,
): Method {
  const requests = codec(`${name}Request` as keyof Messages);
  const replies = codec(`${name}Response` as keyof Messages);
  const encode = (reply: Init<Named<`${N}Response`>>) => replies.encodeFrame(reply as never);
  const refuse = (error: unknown) => {
    if (!(error instanceof Refusal)) log.error({ err: error, method: name }, "a gRPC method failed");
    return encode({ status: statusOf(error) as Init<Status> } as never);
  };
  return {
    path: SERVICE + name,
    kind: "unary",
    handle: (call, bytes) => {
      const request = decode(requests, name, bytes) as Named<`${N}Request`>;
      try {
        const asking = access?.check(call, `${name}Request` as keyof Messages, request as never);
        if (asking instanceof Promise) {
          return asking.then(() => handle(contextOf(call), request)).then(encode, refuse);
        }
        const reply: Awaitable<Init<Named<`${N}Response`>>> = handle(contextOf(call), request);
        return reply instanceof Promise ? reply.then(encode, refuse) : encode(reply);
      } catch (error) {
        return refuse(error);
      }
    },
  };
}
