/**
 * The gRPC protocol on its port, of a broker (Apache: ProxyStartup in local mode) or in front of a cluster. The port
 * listens at once; what serves it is loaded by the first connection.
 */
import type { DecisionParts } from "../auth/decisions.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Clients } from "../broker/clients.ts";
import { ConfigError, type ProxyConfig, type TlsMode } from "../config/index.ts";
import type { Backend } from "../grpc/backend.ts";
import { type ConnectionSink, GrpcListener, ListenError } from "../grpc/listener.ts";
import type { TableParts } from "../handlers/table.ts";
import type { Row } from "../protocol/dispatch.ts";
import type { Disk } from "../store/disk.ts";
import { FileWatch } from "../tls/fileWatch.ts";
import { type Certificate, readCertificate } from "../tls/material.ts";
import { readerOf, stampOf } from "./tls.ts";

export interface RunningGrpc {
  port: number;
  close(): Promise<void>;
}

/** What the protocol is served with. */
export interface GrpcParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly disk: Disk;
  /** Where its clients are registered. */
  readonly registrations: Clients;
  /** What it stands in front of; called once, by the first connection. */
  readonly backend: () => Promise<Backend>;
  /** Who may do what; absent: everybody everything. */
  readonly decisions?: DecisionParts | undefined;
}

/**
 * The gRPC protocol in front of this process' broker.
 * @returns undefined when the default port is taken: a broker that nobody told to serve 5.x clients goes on without
 * @throws Error when a port that was asked for is taken; ConfigError when the proxy's file promises access control that the broker lacks
 */
export async function startLocalGrpc(
  parts: TableParts,
  rows: readonly Row[],
  config: ProxyConfig,
  disk: Disk,
  bind: string,
  mode: TlsMode,
  decisions: DecisionParts | undefined,
): Promise<RunningGrpc | undefined> {
  const { clock, random, log, clients: registrations } = parts;
  if (decisions === undefined && (config.authenticationEnabled || config.authorizationEnabled)) {
    // It would be believed to hold, and remoting would be open beside it.
    throw new ConfigError([
      "authenticationEnabled and authorizationEnabled in the proxy's file are for a proxy of its own: in a broker's process set them in broker.conf, for both protocols",
    ]);
  }
  const backend = async () => {
    const { LocalBackend } = await import("../grpc/localBackend.ts");
    return new LocalBackend(parts, rows);
  };
  try {
    return await startGrpcServer({ clock, random, log, disk, registrations, backend, decisions }, config, bind, mode);
  } catch (error) {
    if (config.given.has("grpcServerPort") || !(error instanceof ListenError)) throw error;
    log.warn({ err: (error as Error).message }, "5.x clients cannot use this broker: give --grpc-port another port");
    return undefined;
  }
}

/**
 * @param mode tls.server.mode, which Apache's proxy obeys, too
 * @throws Error when the port is taken, or the certificate cannot be read
 */
export async function startGrpcServer(
  parts: GrpcParts,
  config: ProxyConfig,
  bind: string,
  mode: TlsMode,
): Promise<RunningGrpc> {
  const { clock, log } = parts;
  const given = config.tlsTestModeEnable ? undefined : new GivenCertificate(config, parts);
  const listener = new GrpcListener({ clock, log, mode, load: () => load(parts, config, given) });
  try {
    config.grpcServerPort = await listener.listen(bind, config.grpcServerPort);
  } catch (error) {
    given?.close();
    throw error;
  }
  return {
    port: config.grpcServerPort,
    close: () => {
      given?.close();
      return listener.close();
    },
  };
}

/** Read at start, so that a wrong path is not found out by the first client, and again when its files change. */
class GivenCertificate {
  /** Gets the next ones; throws when it cannot use one. */
  onRenewed: ((certificate: Certificate) => void) | undefined;
  current: Certificate;
  readonly #watch: FileWatch;

  constructor(config: ProxyConfig, { clock, log, disk }: GrpcParts) {
    const { tlsCertPath: certPath, tlsKeyPath: keyPath, tlsKeyPassword: keyPassword } = config;
    const names = { cert: "tlsCertPath", key: "tlsKeyPath" };
    const read = () => readCertificate(names, { certPath, keyPath, keyPassword }, readerOf(disk));
    this.current = read();
    this.#watch = new FileWatch(clock, stampOf(disk), config.tlsCertWatchIntervalMs, [certPath, keyPath], () => {
      try {
        const renewed = read();
        this.onRenewed?.(renewed);
        this.current = renewed;
        log.info("certificate changed: new TLS connections get the new one");
      } catch (error) {
        const reason = (error as Error).message;
        log.error({ err: reason }, "certificate changed, but cannot be used: the old one stays in force");
      }
    });
  }

  close(): void {
    this.#watch.close();
  }
}

async function load(
  parts: GrpcParts,
  config: ProxyConfig,
  given: GivenCertificate | undefined,
): Promise<ConnectionSink> {
  const [backend, { GrpcAccess }, { GrpcServer }, { MessagingService }, { selfSigned }] = await Promise.all([
    parts.backend(),
    import("../grpc/access.ts"),
    import("../grpc/server.ts"),
    import("../grpc/service.ts"),
    import("../tls/certificate.ts"),
  ]);
  const { clock, random, log, registrations } = parts;
  const service = new MessagingService({
    clock,
    random,
    log,
    config,
    backend,
    registrations,
    access: parts.decisions === undefined ? undefined : new GrpcAccess(parts.decisions),
  });
  const server = new GrpcServer({
    clock,
    log,
    methods: service.methods,
    inboundBytesMax: config.grpcMaxInboundMessageSize,
    idleMs: config.grpcClientIdleTimeMills,
  });
  server.secure(given?.current ?? selfSigned(clock.now(), random));
  if (given !== undefined) given.onRenewed = (renewed) => server.secure(renewed);
  service.start();
  return {
    accept: (socket, tls, peer) => server.accept(socket, tls, peer),
    async close() {
      await service.stop();
      await server.close();
    },
  };
}
