// Writes the TypeScript that follows from proto/: `npm run generate`. With --check it writes nothing, names each file that is
// not what it should be, and exits with 1.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { grpcFiles } from "./generate/grpc.mjs";
import { optionFiles } from "./generate/options.mjs";
import { wireFiles } from "./generate/wire.mjs";

const ROOT = new URL("../", import.meta.url);
const pathOf = (name) => fileURLToPath(new URL(name, ROOT));
const readJson = (name) => JSON.parse(readFileSync(pathOf(name), "utf8"));

function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

const files = {
  ...wireFiles(readJson("proto/remoting.json")),
  ...optionFiles(readJson("proto/options.json")),
  ...grpcFiles(),
};
const checkOnly = process.argv.includes("--check");
for (const [name, text] of Object.entries(files)) {
  if (readIfThere(pathOf(name)) === text) continue;
  if (checkOnly) {
    console.error(`${name} is not what proto/ says; run: npm run generate`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(pathOf(name)), { recursive: true });
    writeFileSync(pathOf(name), text);
    console.log(`wrote ${name}`);
  }
}
