/** Access control of one broker: its users, the gate of its ports, and the signature of its own requests. */
import * as path from "node:path";
import { type AuthSettings, authSettings } from "../auth/authSettings.ts";
import { AuthTables } from "../auth/authTables.ts";
import type { DecisionParts } from "../auth/decisions.ts";
import { RemotingGate } from "../auth/remotingGate.ts";
import { signedFields } from "../auth/signature.ts";
import type { BrokerConfig } from "../config/index.ts";
import type { Gate } from "../protocol/dispatch.ts";
import type { Fields } from "../protocol/frameWriter.ts";
import { MetadataFile } from "../store/metadataFile.ts";
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
export function openAuth({ disk, clock, log }: Runtime, config: BrokerConfig, bind: string): Auth {
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
    ? new AuthTables(new MetadataFile(disk, path.join(config.storePathRootDir, "config", "auth.json")), clock, log)
    : undefined;
  const decisions =
    tables === undefined || !isOn
      ? undefined
      : { settings, users: tables, clusterName: () => config.brokerClusterName, log };
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
      if (settings.authentication && tables.size === 0) {
        log.warn("authentication is on and there is no user: nobody can do anything; set initAuthenticationUser");
      }
    },
    stop: async () => tables?.stop(),
  };
}

function isLoopback(bind: string): boolean {
  return bind === "localhost" || bind === "::1" || bind.startsWith("127.");
}
