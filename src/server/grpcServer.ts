/**
 * The gRPC protocol of a broker on its port (Apache: ProxyStartup in local mode). The port listens at once; what serves
 * it is loaded by the first connection.
 */
import type { ProxyConfig } from "../config/index.ts";
import { type ConnectionSink, GrpcListener } from "../grpc/listener.ts";
import type { TableParts } from "../handlers/table.ts";
import type { Row } from "../protocol/dispatch.ts";
import type { Disk } from "../store/disk.ts";

export interface RunningGrpc {
  port: number;
  close(): Promise<void>;
}

/**
 * @returns undefined when the default port is taken: a broker that nobody told to serve 5.x clients goes on without
 * @throws Error when a port that was asked for is taken
 */
export async function startGrpcServer(
  parts: TableParts,
  rows: readonly Row[],
  config: ProxyConfig,
  disk: Disk,
  bind: string,
): Promise<RunningGrpc | undefined> {
  const { clock, log } = parts;
  const certificate = config.tlsTestModeEnable ? undefined : givenCertificate(config, disk);
  const listener = new GrpcListener({ clock, log, load: () => load(parts, rows, config, certificate) });
  try {
    config.grpcServerPort = await listener.listen(bind, config.grpcServerPort);
  } catch (error) {
    if (config.given.has("grpcServerPort")) throw error;
    log.warn({ err: (error as Error).message }, "5.x clients cannot use this broker: give --grpc-port another port");
    return undefined;
  }
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
  parts: TableParts,
  rows: readonly Row[],
  config: ProxyConfig,
  certificate: Certificate | undefined,
): Promise<ConnectionSink> {
  const [{ GrpcServer }, { MessagingService }, { LocalBackend }, { selfSigned }] = await Promise.all([
    import("../grpc/server.ts"),
    import("../grpc/service.ts"),
    import("../grpc/localBackend.ts"),
    import("../grpc/certificate.ts"),
  ]);
  const { clock, random, log } = parts;
  const service = new MessagingService({
    clock,
    random,
    log,
    config,
    backend: new LocalBackend(parts, rows),
    registrations: parts.clients,
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
