/** Wires the console of one broker: its port listens at once, everything else is loaded by the first connection. */
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import type { ConsoleParts } from "../http/console/consoleServer.ts";
import type { ConsoleUsers } from "../http/console/guard.ts";
import { LazyListener } from "../http/console/lazyListener.ts";
import type { Disk } from "../store/disk.ts";

export interface ConsoleSettings {
  /** Default 127.0.0.1: whoever reaches the console may do everything, unless access control is on. */
  readonly host: string;
  readonly port: number;
  /** The port was asked for: a start without it fails. */
  readonly isGiven: boolean;
}

export interface RunningConsole {
  port: number;
  close(): Promise<void>;
}

/** Lies beside the programs, from the sources as from the build. */
const PAGE = new URL("../../bin/console/", import.meta.url);

/**
 * @param users of access control; undefined while it is off
 * @returns undefined when the default port is taken: a broker goes on without
 * @throws Error when a port that was asked for is taken
 */
export async function startConsole(
  parts: ConsoleParts,
  settings: ConsoleSettings,
  disk: Disk,
  users: ConsoleUsers | undefined,
): Promise<RunningConsole | undefined> {
  const { log } = parts;
  const listener = new LazyListener(async () => {
    const { ConsoleServer } = await import("../http/console/consoleServer.ts");
    return new ConsoleServer(parts, {
      hosts: [settings.host.toLowerCase(), hostname().toLowerCase()],
      users,
      readFile: (name) => disk.readAll(fileURLToPath(new URL(name, PAGE))),
    });
  }, log);
  try {
    const port = await listener.listen(settings.host, settings.port);
    log.info(`the console is at http://${settings.host}:${port}/`);
    return { port, close: () => listener.close() };
  } catch (error) {
    await listener.close();
    if (settings.isGiven) throw error;
    log.warn({ err: (error as Error).message }, "no console: give --console-port another port, or --no-console");
    return undefined;
  }
}
