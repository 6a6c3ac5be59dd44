/**
 * Telemetry, Heartbeat and NotifyClientTermination: how a client becomes known, stays known and leaves (Apache:
 * ClientActivity).
 */
import type { Clock } from "../base/clock.ts";
import type { Clients } from "../broker/clients.ts";
import type { ProxyConfig } from "../config/index.ts";
import type { GrpcAccess } from "./access.ts";
import type { Awaitable, Backend } from "./backend.ts";
import { groupOf, topicOf } from "./checks.ts";
import type { GrpcClient, GrpcClients, TelemetrySink } from "./clients.ts";
import { type Context, contextOf } from "./context.ts";
import {
  ClientType,
  Code,
  type HeartbeatRequest,
  type HeartbeatResponse,
  type NotifyClientTerminationRequest,
  type NotifyClientTerminationResponse,
  type Settings,
  type TelemetryCommand,
} from "./generated/messages.ts";
import { GrpcError } from "./grpcStatus.ts";
import { LITE_CONSUMERS } from "./lite.ts";
import { codec, type Init } from "./proto.ts";
import { registerConsumer, registerProducer, subscriptionsOf } from "./registry.ts";
import type { FrameSink, Incoming, RpcCall } from "./server.ts";
import { mergedSettings } from "./settings.ts";
import { OK, Refusal, statusOf } from "./status.ts";
import { toMs } from "./times.ts";

export interface TelemetryParts {
  readonly clock: Clock;
  readonly config: ProxyConfig;
  readonly backend: Backend;
  readonly clients: GrpcClients;
  /** The broker's table of producers and consumers, remoting ones included. */
  readonly registrations: Clients;
  readonly access?: GrpcAccess | undefined;
}

const CLIENT_TYPE_NAMES = new Map<number, string>(Object.entries(ClientType).map(([name, type]) => [type, name]));
const CONSUMERS: ReadonlySet<number> = new Set([
  ClientType.PUSH_CONSUMER,
  ClientType.SIMPLE_CONSUMER,
  ...LITE_CONSUMERS,
]);
const NO_SETTINGS = "cannot find client settings for this client";

/** One Telemetry stream. Commands of a client are taken one after the other. */
export function openTelemetry(parts: TelemetryParts, call: RpcCall, sink: FrameSink): Incoming {
  const commands = codec("TelemetryCommand");
  let congested = false;
  let attached: GrpcClient | undefined;
  let turn: Promise<void> = Promise.resolve();
  const write: TelemetrySink = (command) => {
    // A client that does not read is not told more: what matters is asked again later.
    if (congested || !sink.open) return false;
    if (!sink.write(commands.encodeFrame(command))) {
      congested = true;
      void sink.drained().then(() => {
        congested = false;
      });
    }
    return true;
  };
  const attach = (client: GrpcClient) => {
    if (attached !== client) attached?.detach(write);
    attached = client;
    client.attach(write);
  };
  call.onCancel(() => attached?.detach(write));
  const take = async (bytes: Parameters<Incoming["message"]>[0]) => {
    // Also what came behind a command that ended the stream: nobody would ever take it out of its client again.
    if (!sink.open) return;
    const command = commands.decode(bytes);
    const asking = parts.access?.check(call, "TelemetryCommand", command);
    if (asking !== undefined) await asking;
    const context = contextOf(call);
    switch (command.command) {
      case "settings":
        write(await negotiate(parts, context, command.settings as Settings, attach));
        return;
      case "threadStackTrace": {
        const { nonce, threadStackTrace } = command.threadStackTrace ?? { nonce: "", threadStackTrace: null };
        parts.clients.find(context.clientId)?.answered(nonce, command.status, threadStackTrace ?? "");
        return;
      }
      case "verifyMessageResult":
        parts.clients
          .find(context.clientId)
          ?.answered(command.verifyMessageResult?.nonce ?? "", command.status, undefined);
    }
  };
  const fail = (error: unknown) => {
    attached?.detach(write);
    const { code, message } = statusOf(error);
    if (code === Code.CLIENT_ID_REQUIRED || code === Code.UNAUTHORIZED) {
      sink.write(commands.encodeFrame({ status: { code, message } }));
      sink.end();
      return;
    }
    if (error instanceof GrpcError) sink.end(error);
    else {
      const kind = code >= Code.BAD_REQUEST && code < Code.INTERNAL_ERROR ? "INVALID_ARGUMENT" : "INTERNAL";
      sink.end(new GrpcError(kind, `process client telemetryCommand failed. ${message}`));
    }
  };
  return {
    message: (bytes) => {
      turn = turn.then(() => take(bytes)).catch(fail);
    },
    ended: () => {
      turn = turn.then(() => {
        attached?.detach(write);
        sink.end();
      });
    },
  };
}

/** Registers the client by its settings and answers with the server's. @throws Refusal, GrpcError */
async function negotiate(
  parts: TelemetryParts,
  context: Context,
  settings: Settings,
  attach: (client: GrpcClient) => void,
): Promise<Init<TelemetryCommand>> {
  const { backend, clients, registrations, clock } = parts;
  const { publishing, subscription } = settings;
  if (publishing) {
    const topics = publishing.topics.map(topicOf);
    const client = clients.ensure(context);
    for (const topic of topics) {
      registerProducer(registrations, client, context, topic);
      backend.producerJoined(topic);
    }
    client.settings = settings;
    attach(client);
    clients.settled(client);
  } else if (subscription) {
    const group = groupOf(subscription.group);
    const subscriptions = subscriptionsOf(subscription.subscriptions, clock.now());
    if (!CONSUMERS.has(settings.clientType)) {
      throw new Error(`Client type is not consumer, type: ${clientTypeName(settings.clientType)}`);
    }
    const client = clients.ensure(context);
    await registerConsumer(backend, registrations, client, context, group, settings.clientType, subscriptions);
    client.settings = settings;
    attach(client);
    clients.settled(client);
  } else {
    throw new GrpcError("INVALID_ARGUMENT", "there is no publishing or subscription data in settings");
  }
  return { status: OK, settings: await settingsOf(parts, settings) };
}

/** A client's settings with the server's word in them. */
export async function settingsOf(parts: TelemetryParts, settings: Settings): Promise<Init<Settings>> {
  const group = settings.subscription?.group?.name;
  return mergedSettings(parts.config, settings, group === undefined ? undefined : await parts.backend.group(group));
}

export interface Consumption {
  maxAttempts: number;
  fifo: boolean;
  /** From the lite topics that it subscribes to. */
  lite: boolean;
  requestTimeoutMs: number;
}

/** How a consumer receives, by its settings and its group. @throws Refusal for a client that sent none */
export async function consumption(parts: TelemetryParts, context: Context): Promise<Consumption> {
  const settings = await parts.clients.settingsOf(context.clientId);
  if (settings === undefined) throw new Refusal("INTERNAL_SERVER_ERROR", NO_SETTINGS);
  const { backoffPolicy, subscription } = await settingsOf(parts, settings);
  return {
    maxAttempts: backoffPolicy?.maxAttempts ?? 1,
    fifo: subscription?.fifo ?? false,
    lite: LITE_CONSUMERS.has(settings.clientType),
    requestTimeoutMs: toMs(settings.requestTimeout),
  };
}

export async function heartbeat(
  parts: TelemetryParts,
  context: Context,
  request: HeartbeatRequest,
): Promise<Init<HeartbeatResponse>> {
  const settings = parts.clients.find(context.clientId)?.settings;
  if (settings === undefined) throw new Refusal("UNRECOGNIZED_CLIENT_TYPE", NO_SETTINGS);
  // What the request says of the client's type does not count: some clients say it wrong.
  if (settings.clientType === ClientType.PRODUCER) {
    const client = parts.clients.ensure(context);
    for (const topic of settings.publishing?.topics ?? []) {
      registerProducer(parts.registrations, client, context, topic.name);
    }
  } else if (CONSUMERS.has(settings.clientType)) {
    const group = groupOf(request.group);
    const client = parts.clients.ensure(context);
    await registerConsumer(parts.backend, parts.registrations, client, context, group, settings.clientType, undefined);
  } else {
    throw new Refusal("UNRECOGNIZED_CLIENT_TYPE", clientTypeName(settings.clientType));
  }
  return { status: OK };
}

export function terminate(
  parts: TelemetryParts,
  context: Context,
  request: NotifyClientTerminationRequest,
): Awaitable<Init<NotifyClientTerminationResponse>> {
  const client = parts.clients.find(context.clientId);
  const settings = client?.settings;
  if (client === undefined || settings === undefined) throw new Refusal("UNRECOGNIZED_CLIENT_TYPE", NO_SETTINGS);
  if (CONSUMERS.has(settings.clientType)) groupOf(request.group);
  else if (settings.clientType !== ClientType.PRODUCER) {
    throw new Refusal("UNRECOGNIZED_CLIENT_TYPE", clientTypeName(settings.clientType));
  }
  parts.clients.remove(client);
  return { status: OK };
}

function clientTypeName(type: number): string {
  return CLIENT_TYPE_NAMES.get(type) ?? "UNRECOGNIZED";
}
