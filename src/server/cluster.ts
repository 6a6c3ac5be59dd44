/**
 * NameServer and broker in one process: what `skylark start` and the embedded API run. Clients inside and outside a
 * container reach the same process by different addresses, so without brokerIP1 each is told the one it came by.
 */
import type { DeclaredTopic } from "../broker/declaredTopics.ts";
import type { BrokerConfig, NamesrvConfig, ProxyConfig } from "../config/index.ts";
import { type RunningBroker, startBrokerServer } from "./brokerServer.ts";
import type { ConsoleSettings } from "./console.ts";
import { type RunningNamesrv, startNamesrvServer } from "./namesrvServer.ts";
import type { Runtime } from "./runtime.ts";
import { openTls } from "./tls.ts";

export interface ClusterOptions {
  namesrv: NamesrvConfig;
  broker: BrokerConfig;
  bind: string;
  namesrvConfigFile?: string | undefined;
  brokerConfigFile?: string | undefined;
  /** See BrokerServerOptions. */
  grpc?: ProxyConfig | undefined;
  /** See BrokerServerOptions. */
  topics?: readonly DeclaredTopic[] | undefined;
  /** See BrokerServerOptions. */
  console?: ConsoleSettings | undefined;
  onFatal?: (error: Error) => void;
  /** Told when the NameServer listens, before the broker starts. */
  onNamesrv?: (namesrv: RunningNamesrv) => void;
}

export interface RunningCluster {
  namesrv: RunningNamesrv;
  broker: RunningBroker;
  close(): Promise<void>;
}

export async function startClusterServers(runtime: Runtime, options: ClusterOptions): Promise<RunningCluster> {
  const { broker: config, bind } = options;
  // Asked each time: mqadmin may fix it while the broker runs.
  const fixed = () => config.given.has("brokerIP1");
  const tls = await openTls(runtime, config);
  let namesrv: RunningNamesrv;
  try {
    namesrv = await startNamesrvServer(runtime, {
      config: options.namesrv,
      bind,
      tls,
      configFile: options.namesrvConfigFile,
      rewriteBrokerAddr: (address, caller) =>
        fixed() || address !== `${config.brokerIP1}:${config.listenPort}`
          ? address
          : `${bracketed(caller.reachedBy)}:${config.listenPort}`,
    });
  } catch (error) {
    tls.close();
    throw error;
  }
  options.onNamesrv?.(namesrv);
  config.namesrvAddr = withOwn(`${loopbackOf(bind)}:${namesrv.port}`, config.namesrvAddr);
  let broker: RunningBroker;
  try {
    broker = await startBrokerServer(runtime, {
      config,
      bind,
      tls,
      configFile: options.brokerConfigFile,
      grpc: options.grpc,
      topics: options.topics,
      console: options.console,
      ...(options.onFatal === undefined ? {} : { onFatal: options.onFatal }),
    });
  } catch (error) {
    await namesrv.close();
    tls.close();
    throw error;
  }
  return {
    namesrv,
    broker,
    async close() {
      try {
        await broker.close();
      } finally {
        await namesrv.close();
        tls.close();
      }
    },
  };
}

/** A broker.conf may name other NameServers: the broker registers with those too. */
export function withOwn(own: string, others: string | undefined): string {
  const list = (others ?? "").split(";").filter((address) => address !== "" && address !== own);
  return [own, ...list].join(";");
}

/** How the broker reaches the NameServer of its own process. */
export function loopbackOf(bind: string): string {
  if (bind === "0.0.0.0") return "127.0.0.1";
  return bind === "::" ? "[::1]" : bracketed(bind);
}

/** An IPv6 address as it stands before a port. */
export function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
