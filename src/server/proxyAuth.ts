/**
 * Access control of a proxy of its own (Apache: AuthConfig of rmq-proxy.json): whom it believes and what they may do, which brokers know, and
 * what it signs its own requests with.
 */
import * as path from "node:path";
import { authSettings } from "../auth/authSettings.ts";
import type { DecisionParts } from "../auth/decisions.ts";
import { type Credentials, signedFields } from "../auth/signature.ts";
import { toolsCredentials } from "../auth/toolsFile.ts";
import { ConfigError, type ProxyConfig } from "../config/index.ts";
import type { Brokers } from "../grpc/remote/brokers.ts";
import { RemoteUsers } from "../grpc/remote/remoteUsers.ts";
import { isLoopback, thisMachine } from "./machine.ts";
import type { Runtime } from "./runtime.ts";

export interface ProxyAuth {
  readonly sign: ((...request: Signed) => ReturnType<typeof signedFields>) | undefined;
  /** Undefined while access control is off, so that it costs nothing. */
  decisions(brokers: Brokers): DecisionParts | undefined;
}

type Signed = [fields: Parameters<typeof signedFields>[0], body: Parameters<typeof signedFields>[1]];

const LOCAL = "LocalAuth";

/** @throws ConfigError for wrong options */
export function openProxyAuth({ log, clock, disk }: Runtime, config: ProxyConfig, bind: string): ProxyAuth {
  const settings = authSettings({
    ...config,
    initAuthenticationUser: undefined,
    aclEnable: false,
    migrateAuthFromV1Enabled: false,
  });
  for (const key of ["authenticationMetadataProvider", "authorizationMetadataProvider"] as const) {
    if (config[key]?.includes(LOCAL)) {
      throw new ConfigError([
        `${key}=${config[key]}: a proxy has no users of its own, its brokers are asked: leave it out`,
      ]);
    }
  }
  const isOn = settings.authentication || settings.authorization;
  if (settings.authorization && !settings.authentication) {
    log.warn("authorizationEnabled without authenticationEnabled: nobody has a name, so nobody may do anything");
  }
  if (!settings.authentication && !isLoopback(bind)) {
    log.warn(
      { bind },
      "anybody who can reach this port may read and write messages: set authenticationEnabled=true and authorizationEnabled=true in rmq-proxy.json, or listen on a loopback address",
    );
  }
  const credentials = config.enableAclRpcHookForClusterMode
    ? (settings.credentials ?? toolsOf(disk, thisMachine(bind).rocketmqHome))
    : undefined;
  if (config.enableAclRpcHookForClusterMode && credentials === undefined) {
    log.warn(
      "enableAclRpcHookForClusterMode signs nothing: give innerClientAuthenticationCredentials, or $ROCKETMQ_HOME/conf/tools.yml",
    );
  }
  if (!config.enableAclRpcHookForClusterMode && (isOn || settings.credentials !== undefined)) {
    log.warn("brokers that control access answer this proxy only with enableAclRpcHookForClusterMode=true");
  }
  return {
    sign: credentials === undefined ? undefined : (fields, body) => signedFields(fields, body, credentials),
    decisions: (brokers) =>
      isOn
        ? {
            settings,
            users: new RemoteUsers(brokers, config, clock),
            clusterName: () => config.rocketMQClusterName,
            log,
          }
        : undefined,
  };
}

function toolsOf(disk: Runtime["disk"], home: string): Credentials | undefined {
  const file = path.join(home, "conf", "tools.yml");
  if (!disk.exists(file)) return undefined;
  try {
    return toolsCredentials(disk.readAll(file).toString());
  } catch (error) {
    throw new ConfigError([(error as Error).message]);
  }
}
