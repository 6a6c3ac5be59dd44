/**
 * TLS of connections to other servers (Apache: TlsHelper.buildSslContext(true)): brokers to NameServers and masters, NameServers to
 * brokers, proxies to both. As in Apache, the name in a certificate is not compared with the address, which is mostly an IP
 * address. Files are read for each connection, so renewed ones act at the next.
 */
import { type ConnectionOptions, connect, createSecureContext, getCiphers, type TLSSocket } from "node:tls";
import type { TlsSettings } from "../config/index.ts";
import { cipherList } from "./ciphers.ts";
import { type ReadFile, readCertificate, readNamed } from "./material.ts";

export class ClientTls {
  readonly #settings: TlsSettings;
  readonly #read: ReadFile;

  /** @throws Error with the option whose file cannot be used */
  constructor(settings: TlsSettings, read: ReadFile) {
    this.#settings = settings;
    this.#read = read;
    createSecureContext(this.#options());
  }

  /** A connection that is under way; it says `secureConnect` when its handshake is done. @throws Error as the constructor */
  connect(host: string, port: number): TLSSocket {
    const socket = connect({ ...this.#options(), host, port, checkServerIdentity: () => undefined });
    socket.setNoDelay(true);
    return socket;
  }

  #options(): ConnectionOptions {
    const { testMode, client, ciphers, protocols } = this.#settings;
    const verify = !testMode && client.verify;
    const options: ConnectionOptions = {
      minVersion: protocols[0] as "TLSv1.2" | "TLSv1.3",
      maxVersion: protocols[protocols.length - 1] as "TLSv1.2" | "TLSv1.3",
      rejectUnauthorized: verify,
    };
    if (ciphers !== undefined) options.ciphers = cipherList(ciphers, getCiphers());
    if (!verify) options.ca = [];
    else if (client.trustCertPath !== undefined) {
      options.ca = readNamed("tls.client.trustCertPath", client.trustCertPath, this.#read);
    }
    const { certPath, keyPath, keyPassword } = client;
    if (!testMode && certPath !== undefined && keyPath !== undefined) {
      const names = { cert: "tls.client.certPath", key: "tls.client.keyPath" };
      Object.assign(options, readCertificate(names, { certPath, keyPath, keyPassword }, this.#read));
    }
    return options;
  }
}
