// Runs a command and keeps its output.
import { spawn } from "node:child_process";

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env?: Record<string, string>, live?: boolean }} options `live`: the output is also shown as it comes
 * @returns {Promise<{ status: number, stdout: string }>} a signal or a command that does not start is status 1.
 */
export function run(command, args, { cwd, env = process.env, live = true }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
    const chunks = [];
    child.stdout.on("data", (chunk) => {
      chunks.push(chunk);
      if (live) process.stdout.write(chunk);
    });
    child.on("error", (error) => process.stderr.write(`${command}: ${error.message}\n`));
    child.on("close", (code) => resolve({ status: code ?? 1, stdout: Buffer.concat(chunks).toString() }));
  });
}
