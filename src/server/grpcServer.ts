/**
 * The gRPC protocol on its port, of a broker (Apache: ProxyStartup in local mode) or in front of a cluster. The port
 * listens at once; what serves it is loaded by the first connection.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Clients } from "../broker/clients.ts";
import type { ProxyConfig } from "../config/index.ts";
import type { Backend } from "../grpc/backend.ts";
import { type ConnectionSink, GrpcListener, ListenError } from "../grpc/listener.ts";
import type { TableParts } from "../handlers/table.ts";
import type { Row } from "../protocol/dispatch.ts";
import type { Disk } from "../store/disk.ts";

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
}

/**
 * The gRPC protocol in front of this process' broker.
 * @returns undefined when the default port is taken: a broker that nobody told to serve 5.x clients goes on without
 * @throws Error when a port that was asked for is taken
 */
export async function startLocalGrpc(
  parts: TableParts,
  rows: readonly Row[],
  config: ProxyConfig,
  disk: Disk,
  bind: string,
): Promise<RunningGrpc | undefined> {
  const { clock, random, log, clients: registrations } = parts;
  const backend = async () => {
    const { LocalBackend } = await import("../grpc/localBackend.ts");
    return new LocalBackend(parts, rows);
  };
  try {
    return await startGrpcServer({ clock, random, log, disk, registrations, backend }, config, bind);
  } catch (error) {
    if (config.given.has("grpcServerPort") || !(error instanceof ListenError)) throw error;
    log.warn({ err: (error as Error).message }, "5.x clients cannot use this broker: give --grpc-port another port");
    return undefined;
  }
}

/** @throws Error when the port is taken, or the certificate cannot be read */
export async function startGrpcServer(parts: GrpcParts, config: ProxyConfig, bind: string): Promise<RunningGrpc> {
  const { clock, log, disk } = parts;
  const certificate = config.tlsTestModeEnable ? undefined : givenCertificate(config, disk);
  const listener = new GrpcListener({ clock, log, load: () => load(parts, config, certificate) });
  config.grpcServerPort = await listener.listen(bind, config.grpcServerPort);
  return { port: config.grpcServerPort, close: () => listener.close() };
}

interface Certificate {
  cert: string;
  key: string;
  passphrase?: string;
}

/** Read at start, so that a wrong path is not found out by the first client. */
function givenCertificate({ tlsCertPath, tlsKeyPath, tlsKeyPassword }: ProxyConfig, disk: Disk): Certificate {
  const read = (key: string, file: string) => {
    try {
      return disk.readAll(file).toString();
    } catch (error) {
      throw new Error(`${key}=${file} cannot be read: ${(error as Error).message}`);
    }
  };
  const pair = { cert: read("tlsCertPath", tlsCertPath), key: read("tlsKeyPath", tlsKeyPath) };
  return tlsKeyPassword === "" ? pair : { ...pair, passphrase: tlsKeyPassword };
}

async function load(
  parts: GrpcParts,
  config: ProxyConfig,
  certificate: Certificate | undefined,
): Promise<ConnectionSink> {
  const [backend, { GrpcServer }, { MessagingService }, { selfSigned }] = await Promise.all([
    parts.backend(),
    import("../grpc/server.ts"),
    import("../grpc/service.ts"),
    import("../grpc/certificate.ts"),
  ]);
  const { clock, random, log, registrations } = parts;
  const service = new MessagingService({
    clock,
    random,
    log,
    config,
    backend,
    registrations,
  });
  const server = new GrpcServer({
    clock,
    log,
    methods: service.methods,
    inboundBytesMax: config.grpcMaxInboundMessageSize,
    idleMs: config.grpcClientIdleTimeMills,
  });
  server.secure(certificate ?? selfSigned(clock.now(), random));
  service.start();
  return {
    accept: (socket, tls, peer) => server.accept(socket, tls, peer),
    async close() {
      await service.stop();
      await server.close();
    },
  };
}
