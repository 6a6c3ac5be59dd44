/** TLS of a server's ports and of its connections to others, from its configuration; a process with several roles has it once. */
import { loadTls, type TlsSettings } from "../config/index.ts";
import type { Disk } from "../store/disk.ts";
import type { ClientTls } from "../tls/clientTls.ts";
import type { Stamp } from "../tls/fileWatch.ts";
import type { ReadFile } from "../tls/material.ts";
import { ServerTls } from "../tls/serverTls.ts";
import type { Runtime } from "./runtime.ts";

export interface Tls {
  /** For ports. */
  readonly server: ServerTls;
  /** For connections to other servers; undefined: they are plain. */
  readonly client: ClientTls | undefined;
  close(): void;
}

/** What a configuration says of TLS besides the tls.* keys that it was given. */
export interface TlsConfig {
  readonly given: ReadonlyMap<string, string>;
  /** Set to what is in force, so that getBrokerConfig shows it. */
  useTLS: boolean;
}

/** @throws ConfigError, or an Error that names the file that cannot be used */
export async function openTls({ clock, random, disk, log, properties }: Runtime, config: TlsConfig): Promise<Tls> {
  const read = readerOf(disk);
  const load = () => loadTls({ entries: config.given, properties, read, exists: (file) => disk.exists(file) });
  const { settings, warnings } = load();
  for (const warning of warnings) log.warn(warning);
  if (settings.mode !== "permissive") log.info(`Server is running in TLS ${settings.mode} mode`);
  if (!config.given.has("useTLS")) config.useTLS = settings.enable;
  const server = new ServerTls({ clock, random, log, load: () => load().settings, read, stamp: stampOf(disk) });
  const client = config.useTLS ? await openClient(settings, read) : undefined;
  await server.start();
  return { server, client, close: () => server.close() };
}

async function openClient(settings: TlsSettings, read: ReadFile): Promise<ClientTls> {
  const { ClientTls: Opened } = await import("../tls/clientTls.ts");
  return new Opened(settings, read);
}

export function readerOf(disk: Disk): ReadFile {
  return (file) => disk.readAll(file).toString();
}

/** A renewal may take a file away for a moment. */
export function stampOf(disk: Disk): Stamp {
  return (file) => {
    try {
      return `${disk.modifiedMs(file)} ${disk.sizeOf(file)}`;
    } catch {
      return undefined;
    }
  };
}
