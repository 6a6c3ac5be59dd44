// Runs a command with its output shown as it comes, and keeps that output.
import { spawn } from "node:child_process";

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string }} options
 * @returns {Promise<{ status: number, stdout: string }>} a signal or a command that does not start is status 1.
 */
export function run(command, args, { cwd }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "inherit"] });
    const chunks = [];
    child.stdout.on("data", (chunk) => {
      chunks.push(chunk);
      process.stdout.write(chunk);
    });
    child.on("error", (error) => process.stderr.write(`${command}: ${error.message}\n`));
    child.on("close", (code) => resolve({ status: code ?? 1, stdout: Buffer.concat(chunks).toString() }));
  });
}
