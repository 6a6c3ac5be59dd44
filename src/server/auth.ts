/** Access control of one broker: its users, the gate of its ports, and the signature of its own requests. */
import * as path from "node:path";
import { type AuthSettings, authSettings } from "../auth/authSettings.ts";
import { AuthTables } from "../auth/authTables.ts";
import type { DecisionParts } from "../auth/decisions.ts";
import { convertPlainAcl } from "../auth/plainConversion.ts";
import { RemotingGate } from "../auth/remotingGate.ts";
import { signedFields } from "../auth/signature.ts";
import type { BrokerConfig } from "../config/index.ts";
import type { Gate } from "../protocol/dispatch.ts";
import type { Fields } from "../protocol/frameWriter.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { isLoopback } from "./machine.ts";
import { loadPlainAcl, WatchedPlainUsers } from "./plainAcl.ts";
import type { Runtime } from "./runtime.ts";

export interface Auth {
  readonly settings: AuthSettings;
  /** Undefined where nothing speaks of users. */
  readonly tables: AuthTables | undefined;
  /** What other protocols decide with; undefined while access control is off. */
  readonly decisions: DecisionParts | undefined;
  /** Undefined while access control is off, so that it costs nothing. */
  readonly gate: Gate | undefined;
  readonly sign: ((fields: Fields, body: Parameters<typeof signedFields>[1]) => Fields) | undefined;
  /** Makes the initial user where there is none of that name; resolves when he is on disk. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** @throws ConfigError for wrong options, or when the users cannot be read */
export function openAuth(runtime: Runtime, config: BrokerConfig, bind: string): Auth {
  const { disk, clock, log } = runtime;
  const settings = authSettings(config);
  const { credentials, initialUser } = settings;
  const isOn = settings.authentication || settings.authorization;
  if (settings.authorization && !settings.authentication) {
    log.warn("authorizationEnabled without authenticationEnabled: anybody can take any user's name");
  }
  if (!settings.authentication && !isLoopback(bind)) {
    log.warn(
      { bind },
      "anybody who can reach this port may read and change everything: set authenticationEnabled=true and authorizationEnabled=true, or listen on a loopback address",
    );
  }
  const tables = settings.configured
    ? new AuthTables(
        new MetadataFile(disk, path.join(config.storePathRootDir, "config", "auth.json"), undefined, true),
        clock,
        log,
      )
    : undefined;
  const plain = settings.plain ? new WatchedPlainUsers(runtime, config.rocketmqHome) : undefined;
  const users = plain?.users ?? tables;
  const decisions: DecisionParts | undefined =
    users === undefined || !isOn
      ? undefined
      : {
          settings,
          users,
          clusterName: () => config.brokerClusterName,
          log,
          isWhite: plain === undefined ? undefined : (ip, username) => plain.users.isWhite(ip, username),
        };
  return {
    settings,
    tables,
    decisions,
    gate: decisions === undefined ? undefined : new RemotingGate(decisions),
    sign: credentials === undefined ? undefined : (fields, body) => signedFields(fields, body, credentials),
    async start() {
      if (tables === undefined) return;
      if (initialUser !== undefined && tables.find(initialUser.username) === undefined) {
        await tables.createUser({ ...initialUser, userType: "Super" });
        log.info({ audit: true, subject: initialUser.username }, "initial user created");
      }
      if (settings.migrate) {
        const { made, left } = await convertPlainAcl(loadPlainAcl(runtime, config.rocketmqHome), tables);
        log.info({ audit: true, users: made }, "accounts of ACL 1.0 have become users");
        for (const sentence of left) log.warn(`not carried over from ACL 1.0: ${sentence}`);
      }
      if (settings.authentication && tables.size === 0) {
        log.warn("authentication is on and there is no user: nobody can do anything; set initAuthenticationUser");
      }
    },
    async stop() {
      plain?.close();
      await tables?.stop();
    },
  };
}
