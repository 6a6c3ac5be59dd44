/**
 * TLS of the remoting ports and of connections to other servers: Apache's tls.* keys (TlsSystemConfig, TlsHelper), where they
 * may stand, and who wins: a key in broker.conf or namesrv.conf (Apache takes none there), over it a JVM flag
 * -Dtls.key=value in JAVA_TOOL_OPTIONS, JAVA_OPT or JAVA_OPT_EXT (Apache's scripts hand those to the JVM), over both, as in
 * Apache, the properties file that tls.config.file names. A wrong value is refused, where Apache takes a default.
 */
import { nearestKey } from "./nearest.ts";
import { type ApacheOption, ConfigError, coerce, type OptionValue } from "./option.ts";
import { parseProperties } from "./properties.ts";

/** What a port does with a TLS client, and with one that speaks plain. */
export type TlsMode = "disabled" | "permissive" | "enforcing";

/** The files of one side, and whether the other side's certificate must be trusted. */
export interface TlsFiles {
  /** Chain, PEM. */
  readonly certPath: string | undefined;
  /** Private key, PEM (PKCS #8). */
  readonly keyPath: string | undefined;
  readonly keyPassword: string | undefined;
  /** Whether the certificate of the other side is verified. */
  readonly verify: boolean;
  /** Whom to trust, PEM; absent: the certificate authorities that Node knows. */
  readonly trustCertPath: string | undefined;
}

export interface TlsSettings {
  readonly mode: TlsMode;
  /** Whether connections to other servers are made with TLS. */
  readonly enable: boolean;
  /** A certificate made here, and clients that trust any. */
  readonly testMode: boolean;
  readonly clientAuth: "none" | "optional" | "require";
  readonly server: TlsFiles;
  readonly client: TlsFiles;
  /** Names of cipher suites, Java's or OpenSSL's; absent: Node's choice. */
  readonly ciphers: readonly string[] | undefined;
  /** Some of TLSv1.2 and TLSv1.3. */
  readonly protocols: readonly string[];
  /** The properties file that was read, if any. */
  readonly configFile: string | undefined;
}

export interface LoadedTls {
  readonly settings: TlsSettings;
  readonly warnings: string[];
}

/** Where TLS keys come from. */
export interface TlsSources {
  /** The entries of broker.conf or namesrv.conf; other keys than tls.* are passed over. */
  readonly entries: ReadonlyMap<string, string>;
  /** JVM flags, see {@link javaProperties}. */
  readonly properties: ReadonlyMap<string, string>;
  /** The text of a file; throws when it cannot be read. */
  readonly read: (file: string) => string;
  readonly exists: (file: string) => boolean;
}

const DEFAULT_FILE = "/etc/rocketmq/tls.properties";
const PROTOCOLS = ["TLSv1.2", "TLSv1.3"];

const text = (key: string, fallback?: string): ApacheOption => option(key, "string", fallback);
const flag = (key: string, fallback?: string): ApacheOption => option(key, "boolean", fallback);

function option(key: string, type: "string" | "boolean", fallback: string | undefined): ApacheOption {
  return { key, type, default: fallback, apache: "TlsSystemConfig" };
}

function oneOf(key: string, fallback: string, values: readonly string[]): ApacheOption {
  return { key, type: "enum", default: fallback, values, apache: "TlsSystemConfig" };
}

/** Keys that Apache takes from JVM flags only. */
const OUTER = [
  oneOf("tls.server.mode", "permissive", ["disabled", "permissive", "enforcing"]),
  flag("tls.enable"),
  text("tls.config.file", DEFAULT_FILE),
];

/** Keys that tls.config.file may hold, too. */
const INNER = [
  flag("tls.test.mode.enable", "true"),
  oneOf("tls.server.need.client.auth", "none", ["none", "optional", "require"]),
  text("tls.server.keyPath"),
  text("tls.server.keyPassword"),
  text("tls.server.certPath"),
  flag("tls.server.authClient", "false"),
  text("tls.server.trustCertPath"),
  text("tls.client.keyPath"),
  text("tls.client.keyPassword"),
  text("tls.client.certPath"),
  flag("tls.client.authServer", "false"),
  text("tls.client.trustCertPath"),
  text("tls.ciphers"),
  text("tls.protocols"),
];

/** Every key of TLS that Apache knows, as rows like those of the option tables. */
export const TLS_ROWS: readonly ApacheOption[] = [...OUTER, ...INNER];
const ROWS = new Map(TLS_ROWS.map((row) => [row.key, row]));
const INNER_KEYS = new Set(INNER.map((row) => row.key));
/** Every key that Apache knows. No request may change them. */
export const TLS_KEYS: readonly string[] = [...ROWS.keys()];
/** These never stand where mqadmin getBrokerConfig shows them. */
const SECRETS = new Set(["tls.server.keyPassword", "tls.client.keyPassword"]);

/** Whether a key of a configuration file is one of these, and so no unknown one. */
export function isTlsKey(key: string): boolean {
  return ROWS.has(key);
}

/** The system properties (-Dkey=value) among the flags that a JVM would be given; of a repeated key the last one counts. */
export function javaProperties(environment: Readonly<Record<string, string | undefined>>): Map<string, string> {
  const properties = new Map<string, string>();
  for (const name of ["JAVA_TOOL_OPTIONS", "JAVA_OPT", "JAVA_OPT_EXT"]) {
    for (const [, doubleQuoted, singleQuoted, bare] of (environment[name] ?? "").matchAll(
      /(?:^|\s)(?:"-D([^"]*)"|'-D([^']*)'|-D((?:"[^"]*"|'[^']*'|[^\s"'])+))/g,
    )) {
      const flagText = doubleQuoted ?? singleQuoted ?? bare.replace(/["']/g, "");
      const equals = flagText.indexOf("=");
      if (equals > 0) properties.set(flagText.slice(0, equals), flagText.slice(equals + 1));
    }
  }
  return properties;
}

/** The settings in force. @throws ConfigError naming every wrong value. */
export function loadTls({ entries, properties, read, exists }: TlsSources): LoadedTls {
  const problems: string[] = [];
  const warnings: string[] = [];
  const values = new Map<string, OptionValue>();
  for (const row of ROWS.values())
    values.set(row.key, row.default === undefined ? undefined : coerce(row, row.default));

  const take = (from: ReadonlyMap<string, string>, where: string, allowed: (key: string) => boolean) => {
    for (const [key, given] of from) {
      const row = ROWS.get(key);
      if (row === undefined) {
        const nearest = key.startsWith("tls.") ? nearestKey(key, TLS_KEYS) : undefined;
        if (nearest !== undefined)
          warnings.push(`${where}: unknown key ${key} has no effect; did you mean ${nearest}?`);
      } else if (!allowed(key)) {
        warnings.push(`${where}: ${key} has no effect in this file (as in Apache)`);
      } else {
        try {
          const folded = row.type === "enum" ? given.toLowerCase() : given;
          const value = coerce(row, folded);
          values.set(key, value === "" ? undefined : value);
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          problems.push(...error.problems.map((problem) => `${where}: ${problem}`));
        }
      }
    }
  };

  for (const key of SECRETS) {
    if (entries.has(key)) {
      problems.push(`${key}: not here, where mqadmin shows it; put it into the file that tls.config.file names`);
    }
  }
  take(entries, "configuration", (key) => !SECRETS.has(key));
  take(properties, "-D", () => true);
  const file = values.get("tls.config.file") as string | undefined;
  let configFile: string | undefined;
  if (file !== undefined && (exists(file) || file !== DEFAULT_FILE)) {
    try {
      take(parseProperties(read(file)), file, (key) => INNER_KEYS.has(key));
      configFile = file;
    } catch (error) {
      problems.push(`tls.config.file=${file} cannot be read: ${(error as Error).message}`);
    }
  }
  const settings = settingsOf(values, configFile, problems, warnings);
  if (problems.length > 0) throw new ConfigError(problems);
  return { settings, warnings };
}

function settingsOf(
  values: ReadonlyMap<string, OptionValue>,
  configFile: string | undefined,
  problems: string[],
  warnings: string[],
): TlsSettings {
  const textAt = (key: string) => values.get(key) as string | undefined;
  const mode = values.get("tls.server.mode") as TlsMode;
  const testMode = values.get("tls.test.mode.enable") as boolean;
  const files = (side: "server" | "client", verify: string): TlsFiles => ({
    certPath: textAt(`tls.${side}.certPath`),
    keyPath: textAt(`tls.${side}.keyPath`),
    keyPassword: textAt(`tls.${side}.keyPassword`),
    verify: values.get(verify) as boolean,
    trustCertPath: textAt(`tls.${side}.trustCertPath`),
  });
  const settings: TlsSettings = {
    mode,
    // NettyClientConfig.useTLS: whoever takes TLS only asks with TLS, unless told otherwise.
    enable: (values.get("tls.enable") as boolean | undefined) ?? mode === "enforcing",
    testMode,
    clientAuth: values.get("tls.server.need.client.auth") as TlsSettings["clientAuth"],
    server: files("server", "tls.server.authClient"),
    client: files("client", "tls.client.authServer"),
    ciphers: listAt(textAt("tls.ciphers")),
    protocols: protocolsOf(textAt("tls.protocols"), problems, warnings),
    configFile,
  };
  const { server, client } = settings;
  if (testMode) {
    const idle = [
      ...Object.entries(server).map(([key, value]) => [`tls.server.${key}`, value] as const),
      ...Object.entries(client).map(([key, value]) => [`tls.client.${key}`, value] as const),
    ].filter(([key, value]) => key.endsWith("Path") && value !== undefined);
    for (const [key] of idle) warnings.push(`${key} has no effect while tls.test.mode.enable is true (its default)`);
  } else {
    if (mode !== "disabled") {
      for (const key of ["certPath", "keyPath"] as const) {
        if (server[key] === undefined)
          problems.push(`tls.server.${key}: needed while tls.test.mode.enable is false and tls.server.mode=${mode}`);
      }
    }
    if ((client.certPath === undefined) !== (client.keyPath === undefined)) {
      problems.push("tls.client.certPath and tls.client.keyPath: one without the other");
    }
  }
  return settings;
}

function listAt(value: string | undefined): string[] | undefined {
  const list = value
    ?.split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  return list === undefined || list.length === 0 ? undefined : list;
}

/** Versions before 1.2 are never spoken, as RFC 8996 demands. */
function protocolsOf(value: string | undefined, problems: string[], warnings: string[]): string[] {
  const named = listAt(value);
  if (named === undefined) return PROTOCOLS;
  for (const name of named.filter((one) => !PROTOCOLS.includes(one))) {
    if (/^(SSLv2Hello|SSLv3|TLSv1|TLSv1\.1)$/.test(name)) {
      warnings.push(`tls.protocols: ${name} is not offered; only ${PROTOCOLS.join(" and ")} are`);
    } else {
      problems.push(`tls.protocols=${value}: ${name} is none of ${PROTOCOLS.join(", ")}`);
    }
  }
  const offered = PROTOCOLS.filter((one) => named.includes(one));
  if (offered.length === 0) problems.push(`tls.protocols=${value}: leaves none of ${PROTOCOLS.join(", ")}`);
  return offered;
}
