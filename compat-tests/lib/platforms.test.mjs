/** What runs on amd64 runs on arm64: nothing that we ship is machine code, and the Dockerfile names no machine. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const text = (name) => readFileSync(join(ROOT, name), "utf8");
const lock = JSON.parse(text("package-lock.json"));
/** Paths of what `npm ci --omit=dev` installs. */
const production = Object.entries(lock.packages).filter(([path, entry]) => path !== "" && !entry.dev);
/** Looks at the versions in its user's package.json and warns; the image is built with --ignore-scripts. */
const HARMLESS_SCRIPT = "node_modules/protobufjs";
const MACHINE_CODE = /\.(node|so|dylib|dll|exe|wasm|gyp)$/;
const MACHINE = /amd64|x86|x64|aarch64|arm64|linux-gnu|musl-linux|--platform|lib64/i;

describe("the dependencies of production", () => {
  it("are there to be looked at, and few", () => {
    expect(production.length).toBeGreaterThan(3);
    expect(production.length).toBeLessThan(60);
  });

  it("are for every machine: none is optional, asks for a CPU or a system, or builds something when it is installed", () => {
    for (const [path, entry] of production) {
      expect({ path, os: entry.os, cpu: entry.cpu, libc: entry.libc, optional: entry.optional }).toEqual({ path });
      if (entry.hasInstallScript) expect(path).toBe(HARMLESS_SCRIPT);
    }
  });

  it("hold no machine code", () => {
    const found = [];
    for (const [path] of production) {
      if (!existsSync(join(ROOT, path))) throw new Error(`${path} is not installed`);
      const names = readdirSync(join(ROOT, path), { recursive: true });
      const own = names.filter((name) => !name.includes("node_modules") && MACHINE_CODE.test(name));
      found.push(...own.map((name) => join(path, name)));
    }
    expect(found).toEqual([]);
  });
});

it("the Dockerfile's steps name no machine; the base images are arguments, and decide", () => {
  const steps = text("Dockerfile")
    .split("\n")
    .filter((line) => !line.startsWith("#"));
  expect(steps.filter((line) => MACHINE.test(line.replace("SHELL_IMAGE=busybox:1.37-musl", "")))).toEqual([]);
  for (const name of readdirSync(join(ROOT, "docker"), { withFileTypes: true })) {
    if (name.isFile()) expect([name.name, MACHINE.test(text(join("docker", name.name)))]).toEqual([name.name, false]);
  }
});
