/** A NameServer on a socket (Apache: NamesrvStartup, NamesrvController). */
import { loadLimits, type NamesrvConfig } from "../config/index.ts";
import { createNamesrv } from "../namesrv/namesrv.ts";
import type { Caller } from "../protocol/dispatch.ts";
import { Admission } from "../remoting/admission.ts";
import { RemotingClient } from "../remoting/client.ts";
import { RemotingServer } from "../remoting/server.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { isLoopback } from "./machine.ts";
import type { Runtime } from "./runtime.ts";
import { openTls, type Tls } from "./tls.ts";

export interface NamesrvServerOptions {
  config: NamesrvConfig;
  bind: string;
  /** Where `mqadmin updateNamesrvConfig` is kept; without it changes last until the stop. */
  configFile?: string | undefined;
  /** TLS of the process; absent: as the configuration says. */
  tls?: Tls;
  /** The address of a broker as a caller shall see it. */
  rewriteBrokerAddr?: (address: string, caller: Caller) => string;
}

export interface RunningNamesrv {
  /** `host:port` it listens on. */
  address: string;
  port: number;
  close(): Promise<void>;
}

export async function startNamesrvServer(runtime: Runtime, options: NamesrvServerOptions): Promise<RunningNamesrv> {
  const { clock, turn, log, disk } = runtime;
  const { config, bind, configFile } = options;
  const limits = loadLimits(config.given);
  const tls = options.tls ?? (await openTls(runtime, config));
  // In one process with a broker, that one says it for both.
  if (options.tls === undefined && !isLoopback(bind) && !tls.server.knowsClients) {
    log.warn(
      { bind },
      "anybody who can reach this port may register brokers and take topics away, for a NameServer has no users: listen on a loopback address, keep strangers from the port, or ask for certificates (tls.server.mode=enforcing, tls.server.need.client.auth=require)",
    );
  }
  const client = new RemotingClient(clock, turn, log, [], tls.client);
  const namesrv = createNamesrv({
    clock,
    log,
    config,
    kvFile: new MetadataFile(disk, config.kvConfigPath),
    ...(configFile === undefined ? {} : { configFile: new MetadataFile(disk, configFile) }),
    ...(options.rewriteBrokerAddr === undefined ? {} : { rewriteBrokerAddr: options.rewriteBrokerAddr }),
    sendOneway: (address, code, header) => {
      client.tell(address, code, header).catch((error: Error) => log.warn({ address, err: error.message }, "not told"));
    },
  });
  const admission = new Admission(limits);
  const listener = { clock, turn, log, rows: namesrv.rows, unsupported: [], config, tls: tls.server, admission };
  const server = new RemotingServer(listener);
  let port: number;
  try {
    port = await server.listen(bind, config.listenPort);
  } catch (error) {
    await server.close();
    if (options.tls === undefined) tls.close();
    throw error;
  }
  namesrv.start();
  return {
    address: `${bind}:${port}`,
    port,
    async close() {
      namesrv.stop();
      await server.close();
      client.close();
      if (options.tls === undefined) tls.close();
    },
  };
}
