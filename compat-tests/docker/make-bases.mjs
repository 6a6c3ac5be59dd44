#!/usr/bin/env node
// Makes local stand-ins of the public base images that the Dockerfiles here name, for machines from which no image registry can be reached:
//
//   node compat-tests/docker/make-bases.mjs [--force] [NAME...]
//
// A Debian root is made with debootstrap (root, and a Debian mirror), the toolchains are this machine's own: node and npm, a JDK 17, Python 3.11,
// busybox-static from Debian; and Apache RocketMQ's image is made from its jars. The names are those that a registry would serve, so that nothing else needs to know; images that exist already
// are left alone unless --force. They are for tests: they are larger than the public ones, and nobody maintains them.

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { apacheLib } from "../lib/build.mjs";
import { BASES, docker, hasImage } from "./engine.mjs";

const SUITE = "bookworm";
/** What the toolchains link to, and what builds call. */
const PACKAGES = [
  "binutils",
  "busybox-static",
  "ca-certificates",
  "libbz2-1.0",
  "libexpat1",
  "libffi8",
  "liblzma5",
  "libncursesw6",
  "libreadline8",
  "libsqlite3-0",
  "libssl3",
  "libstdc++6",
  "libuuid1",
  "zlib1g",
];
/** Of the Debian root, nobody reads these in a container. */
const CHAFF = ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "var/log"];

const { values: options, positionals } = parseArgs({
  options: { force: { type: "boolean", default: false } },
  allowPositionals: true,
});

const RECIPES = {
  [BASES.debian]: debian,
  [BASES.shell]: shell,
  [BASES.node]: node,
  [BASES.java]: java,
  [BASES.python]: python,
  [BASES.apache]: apache,
};
for (const name of positionals)
  if (!(name in RECIPES)) throw new Error(`no base ${name}; there are ${Object.keys(RECIPES)}`);

const temp = mkdtempSync(join(tmpdir(), "skylark-bases-"));
try {
  for (const [name, recipe] of Object.entries(RECIPES)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    if (hasImage(name) && !options.force) {
      console.log(`${name}: there already`);
      continue;
    }
    const began = Date.now();
    recipe(name);
    console.log(`${name}: made in ${((Date.now() - began) / 1000).toFixed(0)} s`);
  }
} finally {
  rmSync(temp, { recursive: true, force: true });
}

function debian(name) {
  const root = join(temp, "root");
  const args = ["--variant=minbase", `--include=${PACKAGES.join(",")}`, SUITE, root];
  if (process.env.DEBIAN_MIRROR) args.push(process.env.DEBIAN_MIRROR);
  execFileSync("debootstrap", args, { stdio: ["ignore", "ignore", 2] });
  for (const path of CHAFF) {
    rmSync(join(root, path), { recursive: true, force: true });
    mkdirSync(join(root, path), { recursive: true });
  }
  execFileSync("sh", ["-c", 'tar -C "$1" -c . | docker import - "$2"', "sh", root, name], {
    stdio: ["ignore", "ignore", 2],
  });
  rmSync(root, { recursive: true, force: true });
}

/** busybox, and a name for each thing it can do. */
function shell(name) {
  build(name, [
    `FROM ${BASES.debian} AS debian`,
    "RUN mkdir -p /out/bin /out/tmp && chmod 1777 /out/tmp && cp /bin/busybox /out/bin/ && /out/bin/busybox --install -s /out/bin \\",
    "    && cd /out/bin && for link in *; do [ -L $link ] && ln -sf busybox $link; done; true",
    "FROM scratch",
    "COPY --from=debian /out/ /",
    'CMD ["sh"]',
  ]);
}

function node(name) {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const context = fresh();
  mkdirSync(join(context, "bin"));
  mkdirSync(join(context, "lib", "node_modules"), { recursive: true });
  cpSync(realpathSync(process.execPath), join(context, "bin", "node"));
  cpSync(join(prefix, "lib", "node_modules", "npm"), join(context, "lib", "node_modules", "npm"), { recursive: true });
  const lines = [
    `FROM ${BASES.debian}`,
    "COPY bin/ /usr/local/bin/",
    "COPY lib/ /usr/local/lib/",
    "RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx",
  ];
  // A machine that reaches its packages through somebody's proxy trusts that one's certificate; so must builds.
  const authority = process.env.NODE_EXTRA_CA_CERTS;
  if (authority && existsSync(authority)) {
    cpSync(authority, join(context, "authority.crt"), { dereference: true });
    lines.push(
      "COPY authority.crt /usr/local/share/ca-certificates/",
      "ENV NODE_EXTRA_CA_CERTS=/usr/local/share/ca-certificates/authority.crt",
    );
  }
  build(name, [...lines, 'CMD ["node"]'], context);
}

function java(name) {
  const home = dirname(dirname(realpathSync(which("java"))));
  const context = fresh();
  // Distributions keep its configuration elsewhere and link to it; some of the links lead nowhere.
  spawnSync("cp", ["-rL", home, join(context, "jdk")], { stdio: "ignore" });
  rmSync(join(context, "jdk", "lib", "src.zip"), { force: true });
  build(
    name,
    [
      `FROM ${BASES.debian}`,
      "COPY jdk/ /opt/java/openjdk/",
      "ENV JAVA_HOME=/opt/java/openjdk PATH=/opt/java/openjdk/bin:/usr/local/bin:/usr/bin:/bin",
    ],
    context,
  );
}

function python(name) {
  const prefix = execFileSync(
    "python3",
    ["-c", "import sys; assert sys.version_info[:2] == (3, 11), sys.version; print(sys.base_prefix)"],
    {
      encoding: "utf8",
    },
  ).trim();
  const context = fresh();
  const chaff = /\/(site-packages|test|__pycache__|config-3[^/]*)$/;
  const filter = (path) => !chaff.test(path);
  cpSync(prefix, join(context, "python"), { recursive: true, verbatimSymlinks: true, filter });
  build(name, [`FROM ${BASES.debian}`, "COPY python/ /usr/local/", "RUN ldconfig", 'CMD ["python3"]'], context);
}

/** Apache's own image, from its jars. */
function apache(name) {
  const context = fresh();
  cpSync(apacheLib(), join(context, "lib"), { recursive: true });
  mkdirSync(join(context, "bin"));
  mkdirSync(join(context, "conf"));
  cpSync(new URL("../../docker/broker.conf", import.meta.url), join(context, "conf", "broker.conf"));
  const commands = {
    mqnamesrv: "org.apache.rocketmq.namesrv.NamesrvStartup",
    mqbroker: "org.apache.rocketmq.broker.BrokerStartup",
    mqproxy: "org.apache.rocketmq.proxy.ProxyStartup",
    mqadmin: "org.apache.rocketmq.tools.command.MQAdminStartup",
  };
  for (const [command, mainClass] of Object.entries(commands)) {
    const flags = [
      "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xms64m -Xmx512m -XX:MaxDirectMemorySize=512m",
      "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED -Djava.net.preferIPv4Stack=true",
      '-Duser.home="$HOME" -Drocketmq.home.dir="$ROCKETMQ_HOME" $JAVA_OPT_EXT -cp "$ROCKETMQ_HOME/lib/*"',
    ];
    writeFileSync(join(context, "bin", command), `#!/bin/sh\nexec java ${flags.join(" ")} ${mainClass} "$@"\n`, {
      mode: 0o755,
    });
  }
  build(name, readFileSync(new URL("apache.Dockerfile", import.meta.url), "utf8").split("\n"), context);
}

function which(tool) {
  return execFileSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).trim();
}

function fresh() {
  return mkdtempSync(join(temp, "context-"));
}

function build(name, lines, context = fresh()) {
  writeFileSync(join(context, "Dockerfile"), `${lines.join("\n")}\n`);
  docker(["build", "-q", "-t", name, context]);
  rmSync(context, { recursive: true, force: true });
}
