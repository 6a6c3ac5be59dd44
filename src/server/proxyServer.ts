/** A proxy of its own: the gRPC protocol in front of the brokers of a cluster (Apache: ProxyStartup in cluster mode). */
import { Clients } from "../broker/clients.ts";
import type { ProxyConfig } from "../config/index.ts";
import { Brokers } from "../grpc/remote/brokers.ts";
import { noticeRows } from "../grpc/remote/notices.ts";
import { TransactionProducers } from "../grpc/remote/producers.ts";
import { RemoteBackend } from "../grpc/remote/remoteBackend.ts";
import { RemotingClient } from "../remoting/client.ts";
import { startGrpcServer } from "./grpcServer.ts";
import { openProxyAuth } from "./proxyAuth.ts";
import type { Runtime } from "./runtime.ts";
import { openTls, type Tls } from "./tls.ts";

export interface ProxyServerOptions {
  config: ProxyConfig;
  /** Address to listen on. */
  bind: string;
  /** TLS of the process; absent: as the flags say, for rmq-proxy.json has no keys for it. */
  tls?: Tls;
}

export interface RunningProxy {
  port: number;
  close(): Promise<void>;
}

/** @throws Error when no NameServer is named, or the port is taken */
export async function startProxyServer(runtime: Runtime, options: ProxyServerOptions): Promise<RunningProxy> {
  const { config, bind } = options;
  const { clock, random, turn, log, disk } = runtime;
  const nameServers = addressesOf(config.namesrvAddr);
  const auth = openProxyAuth(runtime, config, bind);
  const registrations = new Clients(
    {
      // 5.x clients ask for their assignments by themselves.
      notifyConsumerIdsChangedEnable: false,
      realTimeNotifyConsumerChange: true,
      enableRegisterProducer: true,
      rejectTransactionMessage: false,
      channelExpiredTimeout: config.channelExpiredTimeout,
    },
    clock,
    log,
  );
  const brokers = new Brokers(
    {
      request: (address, code, header, body, timeoutMs) => client.request(address, code, header, body, timeoutMs),
      tell: (address, code, header, body) => client.tell(address, code, header, body),
    },
    config,
    nameServers,
    random.int(nameServers.length),
    clock,
    log,
  );
  const backend = new RemoteBackend(brokers, clock, (topic) => producers.joined(topic));
  const producers = new TransactionProducers({
    config,
    clock,
    log,
    brokers,
    registrations,
    topicType: (topic) => backend.topicType(topic),
  });
  const ownTls = options.tls === undefined ? await openTls(runtime, { given: new Map(), useTLS: false }) : undefined;
  const tls = options.tls ?? (ownTls as Tls);
  const rows = [...producers.rows(), ...noticeRows(registrations)];
  const client = new RemotingClient(clock, turn, log, rows, tls.client, auth.sign);
  const decisions = auth.decisions(brokers);
  const parts = { clock, random, log, registrations, disk, decisions, backend: () => Promise.resolve(backend) };
  const grpc = await startGrpcServer(parts, config, bind, tls.server.mode).catch((error) => {
    ownTls?.close();
    throw error;
  });
  registrations.start();
  producers.start();
  return {
    port: grpc.port,
    async close() {
      producers.stop();
      // What clients were working on is given back to the brokers before their connections go.
      await grpc.close();
      registrations.stop();
      client.close();
      ownTls?.close();
    },
  };
}

function addressesOf(namesrvAddr: string | undefined): string[] {
  const addresses = (namesrvAddr ?? "")
    .split(";")
    .map((address) => address.trim())
    .filter((address) => address !== "");
  if (addresses.length === 0) {
    throw new Error("no NameServer: give -n host:port, namesrvAddr in rmq-proxy.json, or NAMESRV_ADDR");
  }
  const wrong = addresses.find((address) => !/:\d+$/.test(address));
  if (wrong !== undefined) throw new Error(`namesrvAddr: ${wrong} is not host:port`);
  return addresses;
}
