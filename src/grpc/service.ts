/**
 * The MessagingService of apache.rocketmq.v2: its methods, each with its codec and what answers it. A refusal travels in
 * the reply's status; only what is no such request ends with a gRPC status.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Clients } from "../broker/clients.ts";
import type { ProxyConfig } from "../config/index.ts";
import type { Awaitable, Backend } from "./backend.ts";
import { GrpcClients } from "./clients.ts";
import { type Context, contextOf } from "./context.ts";
import type { Messages, Status } from "./generated/messages.ts";
import { codec, type Init } from "./proto.ts";
import { queryAssignment, queryRoute } from "./route.ts";
import { Producing } from "./send.ts";
import { GrpcError, type Method } from "./server.ts";
import { Refusal, statusOf } from "./status.ts";
import { heartbeat, openTelemetry, terminate } from "./telemetry.ts";
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
}

type Named<N extends string> = N extends keyof Messages ? Messages[N] : never;

export class MessagingService {
  readonly methods: readonly Method[];
  readonly clients: GrpcClients;
  readonly #halfMessages: HalfMessages;

  constructor(parts: ServiceParts) {
    const { clock, config, log, registrations } = parts;
    const halfMessages = new HalfMessages(
      clock,
      config.transactionDataExpireMillis,
      config.transactionDataExpireScanPeriodMillis,
    );
    const clients = new GrpcClients(clock, log, registrations, config.grpcProxyRelayRequestTimeoutInSeconds * 1000, {
      transactionChecked: (producerGroup, header) =>
        halfMessages.add(producerGroup, String(header.transactionId ?? ""), {
          brokerName: String(header.bname ?? ""),
          tranStateTableOffset: Number(header.tranStateTableOffset),
          commitLogOffset: Number(header.commitLogOffset),
        }),
      removed: () => {},
    });
    const callerOf = (context: Context) => clients.callerOf(context);
    const producing = new Producing({ ...parts, halfMessages, callerOf }, parts.random.int(1 << 30));
    const telemetry = { ...parts, clients };
    this.clients = clients;
    this.#halfMessages = halfMessages;
    this.methods = [
      unary(log, "QueryRoute", (context, request) => queryRoute(parts, context, request)),
      unary(log, "QueryAssignment", (context, request) => queryAssignment(parts, context, request)),
      unary(log, "Heartbeat", (context, request) => heartbeat(telemetry, context, request)),
      unary(log, "NotifyClientTermination", (context, request) => terminate(telemetry, context, request)),
      unary(log, "SendMessage", (context, request) => producing.send(context, request)),
      unary(log, "EndTransaction", (_, request) => producing.endTransaction(request)),
      unary(log, "RecallMessage", (context, request) => producing.recall(context, request)),
      { path: `${SERVICE}Telemetry`, kind: "bidi", open: (call, sink) => openTelemetry(telemetry, call, sink) },
    ];
  }

  start(): void {
    this.clients.start();
    this.#halfMessages.start();
  }

  stop(): void {
    this.clients.stop();
    this.#halfMessages.stop();
  }
}

/** A unary method whose messages are called `NameRequest` and `NameResponse`. */
function unary<N extends string>(
  log: Logger,
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
      let request: Named<`${N}Request`>;
      try {
        request = requests.decode(bytes) as Named<`${N}Request`>;
      } catch (error) {
        throw new GrpcError("INTERNAL", `the request is no ${name}Request: ${(error as Error).message}`);
      }
      try {
        const reply: Awaitable<Init<Named<`${N}Response`>>> = handle(contextOf(call), request);
        return reply instanceof Promise ? reply.then(encode, refuse) : encode(reply);
      } catch (error) {
        return refuse(error);
      }
    },
  };
}
