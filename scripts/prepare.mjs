// Makes a fresh clone ready: installs what package-lock.json names and builds, each only when something changed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const stamps = join(root, "node_modules", ".skylark");

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}

function hashOf(files) {
  const hash = createHash("sha256");
  for (const file of files)
    hash
      .update(file)
      .update("\0")
      .update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function* sources(dir) {
  for (const name of readdirSync(join(root, dir)).sort()) {
    const file = join(dir, name);
    if (statSync(join(root, file)).isDirectory()) yield* sources(file);
    else if (name.endsWith(".ts") && !name.endsWith(".test.ts")) yield file;
  }
}

function ensure(name, hash, make) {
  const stamp = join(stamps, name);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  make();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, hash);
}

ensure("installed", hashOf(["package-lock.json"]), () =>
  run("npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"]),
);
const built = hashOf(["tsconfig.json", "tsconfig.build.json", ...sources("src")]);
if (!existsSync(join(root, "dist", "cli.js"))) writeStale();
ensure("built", built, () =>
  run(process.execPath, [join("node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json"]),
);

function writeStale() {
  if (existsSync(join(stamps, "built"))) writeFileSync(join(stamps, "built"), "");
}
