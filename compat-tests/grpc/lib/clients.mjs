// The 5.x clients under test. `tls`: the client's own default is TLS, so that it is run both ways. `short`: it runs in the short form, too.
// What cannot be built here (no toolchain, or no way to its packages) is Missing: skipped loudly, a failure with CI=true.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, Missing, mvn, need, WORK } from "../../lib/build.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));

export const CLIENTS = [
  { id: "java-5.2.0", prepare: () => java("5.2.0"), tls: true, short: true },
  // Its transport is that of 5.2.0.
  { id: "java-5.0.8", prepare: () => java("5.0.8"), tls: false },
  { id: "go-5.1.3", prepare: go, tls: true, short: true },
  { id: "python-5.1.2", prepare: python, tls: false, short: true },
  { id: "node-1.0.8", prepare: node, tls: false, short: true },
  { id: "rust-5.0.0", prepare: rust, tls: false, short: true },
];

/** Like {@link cached}; a build that fails is a client that is missing: mostly there is no way to its packages. */
function built(directory, sources, build) {
  try {
    cached(directory, sources, build);
  } catch (error) {
    throw new Missing(`it cannot be built here: ${error.message}`);
  }
}

function java(version) {
  need("java", ["-version"]);
  need("javac", ["-version"]);
  need("mvn", ["-v"]);
  const directory = join(WORK, `grpc-java-${version}`);
  built(directory, ["grpc/java"], () =>
    mvn("grpc/java/pom.xml", [`-Pclient-${version}`, `-Dwork=${directory}`, "compile", "dependency:copy-dependencies"]),
  );
  const home = join(WORK, "home", `grpc-java-${version}`);
  mkdirSync(home, { recursive: true });
  return {
    command: "java",
    args: [
      "-Xms64m",
      "-Xmx512m",
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      `-Duser.home=${home}`,
      "-Drocketmq.log.level=warn",
      "-Djava.net.preferIPv4Stack=true",
      "-cp",
      [join(directory, "classes"), join(directory, "lib", "*")].join(":"),
      "skylark.grpc.Scenarios",
    ],
  };
}

function go() {
  need("go", ["version"]);
  const directory = join(WORK, "grpc-go-5.1.3");
  const binary = join(directory, "scenarios");
  built(directory, ["grpc/go"], () =>
    execFileSync("go", ["build", "-trimpath", "-o", binary, "."], { cwd: join(HERE, "go"), stdio: ["ignore", 2, 2] }),
  );
  // The client logs into files below the home directory.
  const home = join(WORK, "home", "grpc-go-5.1.3");
  mkdirSync(home, { recursive: true });
  return { command: binary, args: [], env: { HOME: home, "rocketmq.client.logRoot": home } };
}

function python() {
  need("python3", ["--version"]);
  const directory = join(WORK, "grpc-python-5.1.2");
  const bin = join(directory, "env", "bin");
  built(directory, ["grpc/python/requirements.txt"], () => {
    execFileSync("python3", ["-m", "venv", join(directory, "env")], { stdio: ["ignore", 2, 2] });
    const requirements = join(HERE, "python", "requirements.txt");
    execFileSync(join(bin, "pip"), ["install", "-q", "-r", requirements], { stdio: ["ignore", 2, 2] });
  });
  const home = join(WORK, "home", "grpc-python-5.1.2");
  mkdirSync(home, { recursive: true });
  return { command: join(bin, "python"), args: [join(HERE, "python", "scenarios.py")], env: { HOME: home } };
}

function node() {
  need("npm", ["--version"]);
  const directory = join(WORK, "grpc-node-1.0.8");
  built(directory, ["grpc/node"], () => {
    for (const file of ["package.json", "scenarios.mjs"]) copyFileSync(join(HERE, "node", file), join(directory, file));
    execFileSync("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: directory,
      stdio: ["ignore", 2, 2],
    });
  });
  const home = join(WORK, "home", "grpc-node-1.0.8");
  mkdirSync(home, { recursive: true });
  return { command: process.execPath, args: [join(directory, "scenarios.mjs")], env: { HOME: home } };
}

function rust() {
  need("cargo", ["--version"]);
  const directory = join(WORK, "grpc-rust-5.0.0");
  built(directory, ["grpc/rust"], () =>
    execFileSync("cargo", ["build", "-q", "--locked"], {
      cwd: join(HERE, "rust"),
      env: { ...process.env, CARGO_TARGET_DIR: directory },
      stdio: ["ignore", 2, 2],
    }),
  );
  return { command: join(directory, "debug", "skylark-grpc-scenarios"), args: [], env: { RUST_BACKTRACE: "0" } };
}
