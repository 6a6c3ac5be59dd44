/** A command line program's output, and its end. */

/** Where output goes. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
}

/**
 * Runs a program whose result is its exit status. As soon as its output is read no more (`... | head -1`), there is nothing
 * left to do.
 */
export async function runProgram(run: (terminal: Terminal) => Promise<number>): Promise<void> {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  process.exitCode = await run({
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
}
