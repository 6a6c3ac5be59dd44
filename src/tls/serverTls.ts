/**
 * TLS of listening ports, one room for all ports of a process: mode, certificate, clients' certificates, and their renewal
 * without a restart (Apache: NettyRemotingServer.loadSslContext with TlsHelper and FileWatchService). A port looks at a
 * connection's first byte and hands TLS ones over. Certificates that are named are read at the start, so that a wrong path is not
 * found out by the first client; one of our own is made when the first TLS client comes.
 */
import type { Socket } from "node:net";
import type { Server, TLSSocket, TlsOptions } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { TLS_HANDSHAKES_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { TlsMode, TlsSettings } from "../config/index.ts";
import { selfSigned } from "./certificate.ts";
import { cipherList } from "./ciphers.ts";
import { FileWatch, type Stamp } from "./fileWatch.ts";
import { type ReadFile, readCertificate, readNamed } from "./material.ts";

/** First byte of a TLS record with a handshake; no frame begins so, it would be 350 MB long. */
export const TLS_HANDSHAKE = 0x16;
/** Apache's FileWatchService.WATCH_INTERVAL. */
const WATCH_MS = 500;
/** Time for a handshake. */
const HANDSHAKE_MS = 10_000;

/** Apache's words for a client that came with the wrong protocol, by the mode of the port. */
export const MODE_REFUSALS = {
  disabled: "Clients intend to establish an SSL connection while this server is running in SSL disabled mode",
  enforcing: "Clients intend to establish an insecure connection while this server is running in SSL enforcing mode",
} as const;

/** Why a port of this mode refuses a connection that begins so; undefined: it takes it. */
export function modeRefusal(mode: TlsMode, isTls: boolean): string | undefined {
  if (mode === "disabled" && isTls) return MODE_REFUSALS.disabled;
  return mode === "enforcing" && !isTls ? MODE_REFUSALS.enforcing : undefined;
}

export interface ServerTlsOptions {
  clock: Clock;
  random: Random;
  log: Logger;
  /** Called at the start and for each renewal. @throws ConfigError */
  load: () => TlsSettings;
  read: ReadFile;
  stamp: Stamp;
  /** Time for a handshake; default ten seconds. */
  handshakeMs?: number;
}

export class ServerTls {
  readonly mode: TlsMode;
  readonly #options: ServerTlsOptions;
  #settings: TlsSettings;
  /** Never listens: it is given connections. */
  #server: Server | undefined;
  #opening: Promise<Server> | undefined;
  #watch: FileWatch | undefined;
  /** Who takes a connection whose handshake is under way, by its addresses: a TLS socket does not show its raw one. */
  readonly #waiting = new Map<string, (secured: TLSSocket) => void>();

  constructor(options: ServerTlsOptions) {
    this.#options = options;
    this.#settings = options.load();
    this.mode = this.#settings.mode;
  }

  /** Reads what is named, and watches it. @throws Error with the option whose file cannot be used */
  async start(): Promise<void> {
    const { testMode, ciphers } = this.#settings;
    if (this.mode === "disabled" || (testMode && ciphers === undefined)) return;
    this.#server = await this.#open(this.#settings);
    if (testMode) return;
    const { clock, stamp } = this.#options;
    this.#watch = new FileWatch(clock, stamp, WATCH_MS, filesOf(this.#settings), () => void this.#renew());
  }

  /** Whether nobody gets in without a certificate that is trusted. */
  get knowsClients(): boolean {
    const { testMode, clientAuth, server } = this.#settings;
    return this.mode === "enforcing" && !testMode && clientAuth === "require" && server.verify;
  }

  /** Handshakes under way. */
  get handshakes(): number {
    return this.#waiting.size;
  }

  /**
   * Takes a connection whose first bytes were put back. It is closed unless its handshake succeeds in time and its certificate, where
   * one is asked for, is good; else `ready` gets it.
   */
  accept(socket: Socket, ready: (secured: TLSSocket) => void): void {
    if (this.#waiting.size >= TLS_HANDSHAKES_MAX) {
      this.#options.log.warn(
        { handshakes: this.#waiting.size },
        "TLS connection refused: too many handshakes under way",
      );
      socket.destroy();
      return;
    }
    const key = addressesOf(socket);
    this.#waiting.set(key, ready);
    socket.once("close", () => {
      if (this.#waiting.get(key) === ready) this.#waiting.delete(key);
    });
    if (this.#server !== undefined) {
      this.#server.emit("connection", socket);
      return;
    }
    this.#opening ??= this.#open(this.#settings);
    this.#opening
      .then((server) => {
        this.#server ??= server;
        if (!socket.destroyed) this.#server.emit("connection", socket);
      })
      .catch((error: Error) => {
        this.#options.log.error({ err: error }, "TLS cannot be served");
        socket.destroy();
      });
  }

  close(): void {
    this.#watch?.close();
  }

  /** Connections that are open keep what they have; new ones get the new certificate, or the old one while the new one is not whole. */
  async #renew(): Promise<void> {
    const { load, log } = this.#options;
    try {
      const settings = load();
      this.#server = await this.#open(settings);
      this.#settings = settings;
      this.#watch?.watch(filesOf(settings));
      log.info("certificates changed: new TLS connections get the new ones");
    } catch (error) {
      log.error(
        { err: (error as Error).message },
        "certificates changed, but cannot be used: the old ones stay in force",
      );
    }
  }

  async #open(settings: TlsSettings): Promise<Server> {
    const { createServer, createSecureContext, getCiphers } = await import("node:tls");
    const { log } = this.#options;
    const verify = settings.testMode || settings.server.verify;
    const options: TlsOptions = {
      ...this.#certificate(settings),
      minVersion: settings.protocols[0] as "TLSv1.2" | "TLSv1.3",
      maxVersion: settings.protocols[settings.protocols.length - 1] as "TLSv1.2" | "TLSv1.3",
      // As in Apache, where the test mode asks for a certificate, and takes none.
      requestCert: settings.testMode || settings.clientAuth !== "none",
      rejectUnauthorized: !settings.testMode && verify && settings.clientAuth === "require",
      handshakeTimeout: this.#options.handshakeMs ?? HANDSHAKE_MS,
    };
    if (settings.ciphers !== undefined) options.ciphers = cipherList(settings.ciphers, getCiphers());
    if (!verify) options.ca = [];
    else if (!settings.testMode && settings.server.trustCertPath !== undefined) {
      options.ca = readNamed("tls.server.trustCertPath", settings.server.trustCertPath, this.#options.read);
    }
    try {
      createSecureContext(options);
    } catch (error) {
      throw new Error(`${this.#names(settings)} cannot be used: ${(error as Error).message}`);
    }
    const server = createServer(options);
    server.on("secureConnection", (secured) => {
      const key = addressesOf(secured);
      const ready = this.#waiting.get(key);
      this.#waiting.delete(key);
      const refusal = clientRefusal(secured, settings, verify);
      if (refusal === undefined && ready !== undefined) {
        ready(secured);
        return;
      }
      if (refusal !== undefined) log.warn({ peer: secured.remoteAddress, reason: refusal }, "TLS client refused");
      secured.on("error", () => {});
      secured.destroy();
    });
    server.on("tlsClientError", (error, secured) => {
      const reason = secured.authorizationError ?? error.message;
      log.info({ peer: secured.remoteAddress, reason: String(reason) }, "TLS handshake failed");
      secured.destroy();
    });
    return server;
  }

  #certificate(settings: TlsSettings): { cert: string; key: string; passphrase?: string } {
    const { clock, random, read } = this.#options;
    const { certPath, keyPath, keyPassword } = settings.server;
    if (settings.testMode || certPath === undefined || keyPath === undefined) return selfSigned(clock.now(), random);
    const names = { cert: "tls.server.certPath", key: "tls.server.keyPath" };
    return readCertificate(names, { certPath, keyPath, keyPassword }, read);
  }

  #names({ server: { certPath, keyPath } }: TlsSettings): string {
    return `tls.server.certPath=${certPath} with tls.server.keyPath=${keyPath}`;
  }
}

/** Why a client whose handshake succeeded is not let in. */
function clientRefusal(secured: TLSSocket, settings: TlsSettings, verify: boolean): string | undefined {
  if (!settings.testMode && settings.clientAuth === "none") return undefined;
  const came = Object.keys(secured.getPeerCertificate()).length > 0;
  if (!came) return settings.clientAuth === "require" && !settings.testMode ? "it has no certificate" : undefined;
  return verify && !secured.authorized ? `its certificate is not trusted: ${secured.authorizationError}` : undefined;
}

function filesOf({ server, configFile }: TlsSettings): string[] {
  const files = [server.certPath, server.keyPath, server.trustCertPath, configFile];
  return files.filter((file) => file !== undefined);
}

function addressesOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}>${socket.localAddress}:${socket.localPort}`;
}
