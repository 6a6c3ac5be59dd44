/**
 * Logging: pino on stderr, human-readable on a terminal, JSON lines elsewhere. stdout stays free for the ready lines.
 * Everything else takes a `Logger` as a value.
 */
import { type Logger, pino } from "pino";

export type { Logger };

/**
 * The server's logger.
 * @param level a pino level name
 * @param base what every line says, where several processes write into one log
 */
export async function createLogger(level = "info", base: Record<string, string> | null = null): Promise<Logger> {
  if (process.stderr.isTTY) {
    const { default: pretty } = await import("pino-pretty");
    return pino(
      { level, ...(base === null ? {} : { base }) },
      pretty({ destination: 2, sync: true, translateTime: "SYS:HH:MM:ss.l", ignore: "pid,hostname" }),
    );
  }
  return pino({ level, base }, pino.destination({ dest: 2, sync: true }));
}

/** A logger that says nothing; for tests and the embedded API. */
export function silentLogger(): Logger {
  return pino({ level: "silent" });
}

/** One line of {@link collectingLogger}. */
export interface LogLine {
  level: "info" | "warn" | "error" | "fatal" | "debug" | "trace";
  msg: string;
  [field: string]: unknown;
}

/** A logger that hands its lines over, from `info` on. */
export function collectingLogger(take: (line: LogLine) => void): Logger {
  return pino(
    { level: "info", base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } },
    { write: (line: string) => take(JSON.parse(line) as LogLine) },
  );
}
