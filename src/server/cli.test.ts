/** The command line as its users meet it: a process of its own, from the sources as they are now. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { decodeTopicRouteData } from "../protocol/bodies/topicRoute.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { RawClient } from "../testing/rawClient.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "skylark-cli-"));
  for (const name of ["bin", "package.json"]) cpSync(join(PROJECT, name), join(home, name), { recursive: true });
  symlinkSync(join(PROJECT, "node_modules"), join(home, "node_modules"));
  const tsc = join(PROJECT, "node_modules", "typescript", "bin", "tsc");
  const out = ["--outDir", join(home, "dist"), "--tsBuildInfoFile", join(home, ".tsbuildinfo")];
  execFileSync(process.execPath, [tsc, "-p", join(PROJECT, "tsconfig.build.json"), ...out], { stdio: "pipe" });
}, 60_000);

const processes = new Set<ChildProcess>();
afterEach(async () => {
  for (const child of processes) child.kill("SIGKILL");
  processes.clear();
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

class Program {
  stdout = "";
  stderr = "";
  readonly exit: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(program: string, args: string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [join(home, "bin", program), ...args], {
      cwd: home,
      env: { PATH: process.env.PATH ?? "", HOME: home, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    processes.add(child);
    child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk;
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk;
    });
    this.exit = new Promise((resolve) => child.once("close", (code) => resolve(code)));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until stdout says so. */
  says(what: RegExp): Promise<RegExpExecArray> {
    return this.#shows(what, () => this.stdout);
  }

  /** Waits until the log says so. */
  logs(what: RegExp): Promise<RegExpExecArray> {
    return this.#shows(what, () => this.stderr);
  }

  async #shows(what: RegExp, output: () => string): Promise<RegExpExecArray> {
    const end = Date.now() + 120_000;
    for (;;) {
      const found = what.exec(output());
      if (found !== null) return found;
      if (Date.now() > end) throw new Error(`never said ${what}: ${this.stdout}\n${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Ports that are free now, the broker's with two below it free as well. */
async function freePorts(): Promise<{ namesrv: number; broker: number }> {
  const port = () =>
    new Promise<number>((resolve) => {
      const probe = createServer().listen(0, "127.0.0.1", () => {
        const { port } = probe.address() as { port: number };
        probe.close(() => resolve(port));
      });
    });
  return { namesrv: await port(), broker: await port() };
}

const BROKER_READY = /^The broker\[(.*), (.*)\] boot success\..*$/m;

function file(name: string, text: string): string {
  const full = join(home, name);
  writeFileSync(full, text);
  return full;
}

async function route(port: number, topic: string): Promise<string | undefined> {
  return (await routes(port, topic)).values().next().value;
}

/** The masters of a topic, by broker name; none when nobody has it. */
async function routes(port: number, topic: string): Promise<Map<string, string | undefined>> {
  const client = await RawClient.connect(port);
  const reply = await client.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, { fields: { topic } });
  client.close();
  const brokers = reply.code === 0 ? decodeTopicRouteData(reply.body).brokerDatas : [];
  return new Map(brokers.map(({ brokerName, brokerAddrs }) => [brokerName, brokerAddrs.get(0)]));
}

describe("skylark start", () => {
  it("says Apache's ready lines to the letter, serves, and stops in order on SIGTERM and SIGINT", async () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const { namesrv, broker } = await freePorts();
      const store = join(home, `store-${signal}`);
      const program = new Program("skylark", [
        "start",
        "--store",
        store,
        "--namesrv-port",
        `${namesrv}`,
        "--listen-port",
        `${broker}`,
        "--grpc-port",
        `${broker + 2}`,
      ]);
      await program.says(BROKER_READY);
      expect(program.stdout.trimEnd().split("\n")).toEqual([
        `The Name Server boot success. serializeType=JSON, address 127.0.0.1:${namesrv}`,
        `rocketmq-proxy startup successfully, address 127.0.0.1:${broker + 2}`,
        `The broker[broker-a, 127.0.0.1:${broker}] boot success. serializeType=JSON and name server is 127.0.0.1:${namesrv}`,
      ]);
      expect(program.stderr).toContain("clients are told the address by which they reached the NameServer");
      expect(await route(namesrv, "TBW102")).toBe(`127.0.0.1:${broker}`);
      expect(existsSync(join(store, "abort"))).toBe(true);
      program.kill(signal);
      expect(await program.exit).toBe(0);
      expect(existsSync(join(store, "abort"))).toBe(false);
      expect(program.stdout.trimEnd().split("\n")).toHaveLength(3);
    }
  });

  it("ends on a signal that comes while it starts, by its own will: process 1 of a container has no default to fall back to", async () => {
    const { namesrv, broker } = await freePorts();
    const ports = ["--namesrv-port", `${namesrv}`, "--listen-port", `${broker}`, "--grpc-port", "0"];
    const program = new Program("skylark", ["start", ...ports, "--store", join(home, "early")]);
    await program.says(/^The Name Server boot success/m);
    program.kill("SIGTERM");
    // On time, or just too late; null: the kernel did it.
    expect([143, 0]).toContain(await program.exit);
  });

  it("has the declared topics when it is ready, and mqadmin finds them", async () => {
    const { namesrv, broker } = await freePorts();
    const topics = file("topics.json", '["Orders", {"name": "Jobs", "queues": 3}]');
    const flags = ["--namesrv-port", `${namesrv}`, "--listen-port", `${broker}`, "--grpc-port", `${broker + 2}`];
    const store = join(home, "store-topics");
    const program = new Program("skylark", ["start", "--store", store, "--topics", topics, ...flags]);
    await program.says(BROKER_READY);
    const mqadmin = new Program("mqadmin", ["topicRoute", "-t", "Jobs", "-l"], {
      NAMESRV_ADDR: `127.0.0.1:${namesrv}`,
    });
    expect(await mqadmin.exit).toBe(0);
    expect(mqadmin.stdout).toMatch(/^Total: +1 +3 +3 *$/m);
    expect(await new Program("mqadmin", ["topicRoute"]).exit).toBe(1);
    program.kill("SIGTERM");
    expect(await program.exit).toBe(0);
  });

  it("unregisters when it stops", async () => {
    const { namesrv, broker } = await freePorts();
    const names = new Program("mqnamesrv", ["-c", file("ns.conf", `listenPort=${namesrv}\nbindAddress=127.0.0.1\n`)]);
    await names.says(/^The Name Server boot success\. serializeType=JSON, address 127\.0\.0\.1:\d+$/m);
    const args = [
      "start",
      "--store",
      join(home, "store-n"),
      "-n",
      `127.0.0.1:${namesrv}`,
      "--listen-port",
      `${broker}`,
    ];
    const program = new Program("skylark", args);
    await program.says(BROKER_READY);
    expect(program.stdout).not.toContain("Name Server");
    expect(await route(namesrv, "TBW102")).toBe(`127.0.0.1:${broker}`);
    program.kill("SIGTERM");
    expect(await program.exit).toBe(0);
    expect(await route(namesrv, "TBW102")).toBeUndefined();
    names.kill("SIGTERM");
    expect(await names.exit).toBe(0);
  });

  it("-p prints the effective configuration: flags win over the file, the file over the defaults", async () => {
    const conf = file(
      "broker.conf",
      "brokerName=from-file\nlistenPort=10999\nstorePathRootDir=/from-file\nmapedFileSizeCommitLog=1048576\n",
    );
    const program = new Program("skylark", ["start", "-p", "-c", conf, "--listen-port", "28123"]);
    expect(await program.exit).toBe(0);
    const lines = program.stdout.split("\n");
    expect(lines).toContain("brokerName=from-file");
    expect(lines).toContain("listenPort=28123");
    expect(lines).toContain("mappedFileSizeCommitLog=1048576");
    expect(lines).toContain("autoCreateTopicEnable=true");
    const own = new Program("skylark", ["start", "-p", "-c", conf, "--store", "/from-flag"]);
    expect(await own.exit).toBe(0);
    expect(own.stdout.split("\n")).toContain("storePathRootDir=/from-flag");
  });

  it("takes options from the environment: over the file, below flags; says once what was meant for a JVM", async () => {
    const conf = file("env.conf", "brokerName=from-file\nlistenPort=10999\nfileReservedTime=5\n");
    const program = new Program("mqbroker", ["-p", "-c", conf, "-n", "127.0.0.1:1"], {
      ROCKETMQ_BROKER_brokerName: "from-environment",
      ROCKETMQ_BROKER_namesrvAddr: "127.0.0.1:2",
      ADVERTISED_HOST: "mq.test",
      JAVA_OPT_EXT: "-Xmx1g",
      MAX_POSSIBLE_HEAP: "1000000000",
    });
    expect(await program.exit).toBe(0);
    const lines = program.stdout.split("\n");
    expect(lines).toContain("brokerName=from-environment");
    expect(lines).toContain("brokerIP1=mq.test");
    expect(lines).toContain("namesrvAddr=127.0.0.1:1");
    expect(lines).toContain("listenPort=10999");
    expect(lines).toContain("fileReservedTime=5");
    expect(program.stderr.match(/no effect: there is no JVM/g)).toHaveLength(1);
    const names = new Program("mqnamesrv", ["-p"], { ROCKETMQ_NAMESRV_listenPort: "9999" });
    expect(await names.exit).toBe(0);
    expect(names.stdout.split("\n")).toContain("listenPort=9999");
  });

  it("warns of a key that nobody knows and names the nearest one", async () => {
    const program = new Program("skylark", ["start", "-p", "-c", file("typo.conf", "flushDiskTyp=ASYNC_FLUSH\n")]);
    expect(await program.exit).toBe(0);
    expect(program.stderr).toMatch(/flushDiskTyp\b.*flushDiskType\b/);
  });

  it.each([
    [
      "a value that is none",
      () => ["-c", file("bad1.conf", "flushDiskType=SOMETIMES\n")],
      /flushDiskType.*SOMETIMES.*ASYNC_FLUSH/,
    ],
    ["a number that is none", () => ["-c", file("bad2.conf", "fileReservedTime=many\n")], /fileReservedTime.*many/],
    ["a port that is none", () => ["--listen-port", "99999"], /listenPort.*99999/],
    [
      "a file that is not there",
      () => ["-c", "/no/such/file.conf"],
      /the configuration file \/no\/such\/file\.conf does not exist/,
    ],
    ["a flag that nobody knows", () => ["--stor", "x"], /unknown option '--stor'/],
    [
      "topics that cannot be",
      () => ["--topics", file("bad.json", '["A", {"name": "B", "queues": 0}]')],
      /bad\.json: topic 2 \(B\): queues 0 is no whole number from 1 to/,
    ],
  ])("refuses %s with the reason and exit code 1", async (_, args, reason) => {
    const program = new Program("skylark", ["start", ...args()]);
    expect(await program.exit).toBe(1);
    expect(program.stderr).toMatch(reason);
    expect(program.stdout).toBe("");
  });

  it("refuses a taken port with the reason and exit code 1", async () => {
    const holder = createServer();
    const port = await new Promise<number>((resolve) =>
      holder.listen(0, "127.0.0.1", () => resolve((holder.address() as { port: number }).port)),
    );
    const program = new Program("skylark", [
      "start",
      "--store",
      join(home, "store-taken"),
      "--namesrv-port",
      `${port}`,
    ]);
    expect(await program.exit).toBe(1);
    expect(program.stderr).toContain(`cannot listen on 127.0.0.1:${port}: `);
    holder.close();
  });

  it("refuses a taken --grpc-port, and goes on without the default one", async () => {
    const holder = createServer();
    const taken = await new Promise<number>((resolve) =>
      holder.listen(0, "127.0.0.1", () => resolve((holder.address() as { port: number }).port)),
    );
    const args = async (store: string) => {
      const { namesrv, broker } = await freePorts();
      return ["start", "--store", join(home, store), "--namesrv-port", `${namesrv}`, "--listen-port", `${broker}`];
    };
    const refused = new Program("skylark", [...(await args("store-grpc")), "--grpc-port", `${taken}`]);
    expect(await refused.exit).toBe(1);
    expect(refused.stderr).toContain(`cannot listen on 127.0.0.1:${taken}: `);
    holder.close();
    // Whether the default port is free on this machine or not, both brokers start.
    const programs = [
      new Program("skylark", await args("store-grpc")),
      new Program("skylark", await args("store-grpc-2")),
    ];
    for (const program of programs) await program.says(BROKER_READY);
    expect(programs.map(({ stderr }) => stderr).join()).toContain("5.x clients cannot use this broker");
    for (const program of programs) program.kill("SIGTERM");
    for (const program of programs) expect(await program.exit).toBe(0);
  });
});

describe("skylark start --shards", () => {
  /** Ports that follow each other, below those that the system hands out to others' connections. */
  async function freeBlock(sizePorts: number): Promise<number> {
    const isFree = (port: number) =>
      new Promise<boolean>((resolve) => {
        const probe = createServer().once("error", () => resolve(false));
        probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
      });
    for (;;) {
      const first = 20_000 + Math.floor(Math.random() * 10_000);
      const free = await Promise.all(Array.from({ length: sizePorts }, (_, i) => isFree(first + i)));
      if (free.every(Boolean)) return first;
    }
  }

  async function shardFlags(store: string): Promise<{ args: string[]; namesrv: number; broker: number }> {
    const namesrv = await freeBlock(15);
    const broker = namesrv + 3;
    const ports = ["--namesrv-port", `${namesrv}`, "--listen-port", `${broker}`, "--grpc-port", `${broker + 5}`];
    const topics = file("shard-topics.json", '["Orders"]');
    const args = ["start", "--shards", "2", "--store", store, "--topics", topics, "--no-console", ...ports];
    return { args, namesrv, broker };
  }

  const READY = (name: string): RegExp => new RegExp(`"msg":"${name} is (?:ready|back) \\(pid (\\d+), `, "g");
  it("starts brokers and stops them as one; one that dies comes back, the other is undisturbed", async () => {
    const store = join(home, "store-shards");
    const { args, namesrv, broker } = await shardFlags(store);
    const program = new Program("skylark", args);
    await program.logs(/broker-a-0 is ready/);
    await program.logs(/broker-a-1 is ready/);
    await program.says(/broker-a-1.*boot success/);
    expect(program.stdout.trimEnd().split("\n")).toEqual([
      `The Name Server boot success. serializeType=JSON, address 127.0.0.1:${namesrv}`,
      `rocketmq-proxy startup successfully, address 127.0.0.1:${broker + 5}`,
      `The broker[broker-a-0, 127.0.0.1:${broker}] boot success. serializeType=JSON and name server is 127.0.0.1:${namesrv}`,
      `The broker[broker-a-1, 127.0.0.1:${broker + 10}] boot success. serializeType=JSON and name server is 127.0.0.1:${namesrv}`,
    ]);
    const both = new Map([
      ["broker-a-0", `127.0.0.1:${broker}`],
      ["broker-a-1", `127.0.0.1:${broker + 10}`],
    ]);
    expect(await routes(namesrv, "Orders")).toEqual(both);

    const undisturbed = await RawClient.connect(broker);
    const [first] = [...program.stderr.matchAll(READY("broker-a-1"))];
    process.kill(Number(first[1]), "SIGKILL");
    await program.logs(/broker-a-1 \(pid \d+\) was ended by SIGKILL; it is started again in 1 s/);
    await program.logs(/broker-a-1 is back/);
    expect(program.stderr.match(READY("broker-a-0"))).toHaveLength(1);
    expect(await routes(namesrv, "Orders")).toEqual(both);
    expect((await undisturbed.ask(RequestCode.GET_BROKER_CONFIG)).body.toString()).toContain("brokerName=broker-a-0\n");
    undisturbed.close();

    program.kill("SIGTERM");
    expect(await program.exit).toBe(0);
    for (const name of both.keys()) expect(existsSync(join(store, name, "abort"))).toBe(false);
    expect(program.stdout.trimEnd().split("\n")).toHaveLength(4);
  }, 240_000);

  it("stops the brokers in order when their supervisor is killed, and keeps what mqadmin changed on one", async () => {
    const store = join(home, "store-orphans");
    const { args, namesrv, broker } = await shardFlags(store);
    const program = new Program("skylark", args);
    await program.logs(/broker-a-0 is ready/);
    await program.logs(/broker-a-1 is ready/);
    const client = await RawClient.connect(broker + 10);
    const change = await client.ask(RequestCode.UPDATE_BROKER_CONFIG, { body: "brokerPermission=4\n" });
    expect(change.code).toBe(0);
    program.kill("SIGKILL");
    // Both hold the other ends of the output until they have ended.
    await program.exit;
    await client.closed;
    for (const name of ["broker-a-0", "broker-a-1"]) expect(existsSync(join(store, name, "abort"))).toBe(false);

    const again = new Program("skylark", args);
    await again.logs(/broker-a-1 is ready/);
    await again.says(/broker-a-1.*boot success/);
    const permissions = [];
    for (const port of [broker, broker + 10]) {
      const asked = await RawClient.connect(port);
      const { body } = await asked.ask(RequestCode.GET_BROKER_CONFIG);
      permissions.push(/^brokerPermission=\d$/m.exec(body.toString())?.[0]);
      asked.close();
    }
    expect(permissions).toEqual(["brokerPermission=6", "brokerPermission=4"]);
    expect([...(await routes(namesrv, "Orders")).keys()].sort()).toEqual(["broker-a-0", "broker-a-1"]);
    again.kill("SIGTERM");
    expect(await again.exit).toBe(0);
  }, 240_000);

  it("refuses what cannot be, and ends with the reason of a shard that cannot start", async () => {
    const { args, broker } = await shardFlags(join(home, "store-refused"));
    for (const [flags, reason] of [
      [["--shards", "0"], "--shards 0: not a number of processes from 1 to 64"],
      [["--grpc-port", `${broker + 8}`], `broker-a-1's fast port and --grpc-port would both be port ${broker + 8}`],
      [["-c", file("one-log.conf", "storePathCommitLog=/log\n")], "storePathCommitLog: all shards would share it"],
    ] as const) {
      const refused = new Program("skylark", [...args, ...flags]);
      expect(await refused.exit).toBe(1);
      expect(refused.stderr).toContain(reason);
    }
    const lonely = new Program("skylark", ["shard"]);
    expect(await lonely.exit).toBe(1);
    expect(lonely.stderr).toContain("shards are started by: skylark start --shards N");

    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(broker + 10, "127.0.0.1", resolve));
    const half = new Program("skylark", args);
    expect(await half.exit).toBe(1);
    expect(half.stderr).toContain(`skylark: broker-a-1: cannot listen on 127.0.0.1:${broker + 10}: `);
    expect(half.stdout).not.toContain("The broker[");
    expect(existsSync(join(home, "store-refused", "broker-a-0", "abort"))).toBe(false);
    holder.close();
  }, 240_000);
});

describe("mqbroker", () => {
  it("takes its NameServer from -n, else the file, else NAMESRV_ADDR", async () => {
    const printed = async (args: string[], env: Record<string, string>) => {
      const program = new Program("mqbroker", ["-p", ...args], env);
      expect(await program.exit).toBe(0);
      return program.stdout.split("\n").find((line) => line.startsWith("namesrvAddr="));
    };
    const conf = file("named.conf", "namesrvAddr=file:1\n");
    const env = { NAMESRV_ADDR: "env:1" };
    expect(await printed(["-n", "flag:1", "-c", conf], env)).toBe("namesrvAddr=flag:1");
    expect(await printed(["-c", conf], env)).toBe("namesrvAddr=file:1");
    expect(await printed([], env)).toBe("namesrvAddr=env:1");
  });

  it("says its ready line and which address clients are told", async () => {
    const { broker } = await freePorts();
    const conf = file(
      "b.conf",
      `listenPort=${broker}\nbrokerIP1=127.0.0.1\nbrokerName=b1\nstorePathRootDir=${join(home, "store-b")}\n`,
    );
    const program = new Program("mqbroker", ["-c", conf, "-n", "127.0.0.1:1"]);
    const [line] = await program.says(BROKER_READY);
    expect(line).toBe(
      `The broker[b1, 127.0.0.1:${broker}] boot success. serializeType=JSON and name server is 127.0.0.1:1`,
    );
    expect(program.stderr).toContain(`clients are told the address 127.0.0.1:${broker} (brokerIP1)`);
    program.kill("SIGTERM");
    expect(await program.exit).toBe(0);
  });
});

describe("mqproxy", () => {
  it("stands in front of the NameServers of -n, says Apache's ready line and stops in order", async () => {
    const { namesrv } = await freePorts();
    const json = file("rmq-proxy.json", JSON.stringify({ grpcServerPort: namesrv, namesrvAddr: "file:1" }));
    const printed = new Program("mqproxy", ["-pc", json, "-p", "-n", "127.0.0.1:1"]);
    expect(await printed.exit).toBe(0);
    expect(printed.stdout).toMatch(/^namesrvAddr=127\.0\.0\.1:1$/m);
    expect(printed.stdout).toMatch(new RegExp(`^grpcServerPort=${namesrv}$`, "m"));
    const program = new Program("mqproxy", ["-pc", json, "-n", "127.0.0.1:1", "--bind", "127.0.0.1"]);
    const [line] = await program.says(/^rocketmq-proxy startup successfully.*$/m);
    expect(line).toBe(`rocketmq-proxy startup successfully, address 127.0.0.1:${namesrv}`);
    program.kill("SIGTERM");
    expect(await program.exit).toBe(0);
  });

  it("in local mode is a broker with the protocol beside it", async () => {
    const { broker, namesrv } = await freePorts();
    const conf = file("local.conf", `listenPort=${broker}\nbrokerName=b1\nstorePathRootDir=${join(home, "store-l")}\n`);
    const json = file("local.json", JSON.stringify({ grpcServerPort: namesrv, proxyMode: "local" }));
    const program = new Program("mqproxy", ["-pc", json, "-bc", conf, "-n", "127.0.0.1:1", "--bind", "127.0.0.1"]);
    await program.says(BROKER_READY);
    expect(program.stdout).toContain(`rocketmq-proxy startup successfully, address 127.0.0.1:${namesrv}`);
    program.kill("SIGTERM");
    expect(await program.exit).toBe(0);
  });

  it("refuses to start without a NameServer, with a wrong mode, and on a taken port", async () => {
    const holder = createServer();
    const taken = await new Promise<number>((resolve) =>
      holder.listen(0, "127.0.0.1", () => resolve((holder.address() as { port: number }).port)),
    );
    const json = file("taken.json", JSON.stringify({ grpcServerPort: taken }));
    const refusals: [string[], string][] = [
      [[], "no NameServer: give -n host:port, namesrvAddr in rmq-proxy.json, or NAMESRV_ADDR"],
      [["-n", "nowhere"], "namesrvAddr: nowhere is not host:port"],
      [["-pm", "both", "-n", "a:1"], "proxyMode=BOTH: neither LOCAL nor CLUSTER"],
      [["-pc", json, "-n", "a:1", "--bind", "127.0.0.1"], `cannot listen on 127.0.0.1:${taken}: `],
    ];
    for (const [args, reason] of refusals) {
      const program = new Program("mqproxy", args);
      expect(await program.exit).toBe(1);
      expect(program.stderr).toContain(reason);
    }
    holder.close();
  });
});
