/**
 * The command line: `skylark start` (everything in one process), and Apache's names `mqnamesrv`, `mqbroker` and `mqproxy`. Reads
 * flags and files, wires, prints the ready lines that scripts wait for, and stops in order on a signal.
 */
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { createLogger, type Logger } from "./base/log.ts";
import { type DeclaredTopic, parseDeclaredTopics } from "./broker/declaredTopics.ts";
import {
  type BrokerConfig,
  ConfigError,
  effectiveConfig,
  environmentOptions,
  javaProperties,
  jvmVariablesLine,
  loadBrokerConfig,
  loadNamesrvConfig,
  loadProxyConfig,
  type NamesrvConfig,
  type ProxyConfig,
  parseProperties,
  parseProxyJson,
  type Role,
} from "./config/index.ts";
import { startBrokerServer } from "./server/brokerServer.ts";
import { startClusterServers } from "./server/cluster.ts";
import { tuneCollector } from "./server/collector.ts";
import type { ConsoleSettings } from "./server/console.ts";
import { isWildcard, thisMachine } from "./server/machine.ts";
import { startNamesrvServer } from "./server/namesrvServer.ts";
import { startProxyServer } from "./server/proxyServer.ts";
import { type Runtime, systemRuntime } from "./server/runtime.ts";
import { parseShards, planShards, type ShardPlan } from "./server/shards/plan.ts";
import { supervisorChannel, systemProcesses } from "./server/shards/processes.ts";
import { runShard } from "./server/shards/shard.ts";
import { type ShardedClusterOptions, startShardedCluster } from "./server/shards/shardedCluster.ts";

/** A failed start or store. */
const EXIT_FAILURE = 1;
/** And the signal's number: what a shell says of a process that a signal ended. */
const EXIT_SIGNAL = 128;
const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;
/** After a failed sync, replies with the reason still leave before the process ends. */
const FATAL_GRACE_MS = 1_000;
const CONSOLE_PORT = 8082;
const KEEP_ALIVE_MS = 60_000;

interface StartFlags {
  store?: string;
  namesrvPort?: string;
  listenPort?: string;
  grpcPort?: string;
  proxyConfigPath?: string;
  proxyMode?: string;
  brokerConfigPath?: string;
  enableProxy?: boolean;
  configFile?: string;
  topics?: string;
  console?: boolean;
  consolePort?: string;
  consoleBind?: string;
  namesrvAddr?: string;
  shards?: string;
  bind?: string;
  printConfigItem?: boolean;
  printImportantConfig?: boolean;
}

interface DoctorFlags {
  namesrvAddr?: string;
  topic?: string;
  group?: string;
  tools?: string;
}

interface Closable {
  close(): Promise<void>;
}

const PROGRAMS = { skylark, mqnamesrv, mqbroker, mqproxy };
/** Apache's options with a name of two letters behind one dash. */
const TWO_LETTERS = new Map([
  ["-pc", "--proxyConfigPath"],
  ["-pm", "--proxyMode"],
  ["-bc", "--brokerConfigPath"],
]);

export async function main(program: keyof typeof PROGRAMS, args: string[]): Promise<void> {
  tuneCollector();
  for (const signal of STOP_SIGNALS) process.on(signal, endAtOnce);
  const command = PROGRAMS[program]();
  try {
    const named = args.map((arg) => TWO_LETTERS.get(arg) ?? arg);
    await command.parseAsync(named, { from: "user" });
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [(error as Error).message];
    for (const problem of problems) process.stderr.write(`${program}: ${problem}\n`);
    process.exit(EXIT_FAILURE);
  }
}

function skylark(): Command {
  const command = new Command("skylark").description("A drop-in Apache RocketMQ 5.5.0 server");
  command
    .command("start")
    .description("NameServer and broker in one process")
    .option("--store <dir>", "directory of the store (default ./data)")
    .option("--namesrv-port <port>", "port of the NameServer (default 9876)")
    .option("--listen-port <port>", "port of the broker (default 10911)")
    .option("--grpc-port <port>", "port of the 5.x gRPC protocol (default 8081)")
    .option("--proxyConfigPath <file>", "rmq-proxy.json, options of the gRPC protocol; flags win over it (also -pc)")
    .option("-c, --configFile <file>", "broker.conf, Java properties; flags win over it")
    .option("-n, --namesrvAddr <addresses>", "register with these NameServers instead of starting one")
    .option("--console-port <port>", "port of the console (default 8082)")
    .option("--console-bind <address>", "address of the console (default 127.0.0.1)")
    .option("--no-console", "without the console")
    .option("--shards <n>", "n broker processes instead of one, broker-a-0 to broker-a-(n-1), 10 ports apart")
    .option("--topics <file>", "topics to create or change at start: JSON, see README")
    .option("--bind <address>", "address to listen on (default 127.0.0.1)")
    .option("-p, --printConfigItem", "print the effective configuration and exit")
    .action((flags: StartFlags) => start(flags));
  command
    .command("shard", { hidden: true })
    .description("one of the processes of start --shards, which alone can start it")
    .action(() => shard());
  command
    .command("doctor")
    .description("look at a cluster from here, and at what users get wrong; ends with 0, 1 (warnings) or 2 (errors)")
    .option("-n, --namesrvAddr <addresses>", "Name server address list (default NAMESRV_ADDR, or 127.0.0.1:9876)")
    .option("-t, --topic <topic>", "a topic that should work")
    .option("-g, --group <group>", "a consumer group that should work")
    .option("--tools <file>", "tools.yml with accessKey and secretKey (default $ROCKETMQ_HOME/conf/tools.yml)")
    .action((flags: DoctorFlags) => examine(flags));
  return command;
}

function mqnamesrv(): Command {
  return new Command("mqnamesrv")
    .description("NameServer")
    .option("-c, --configFile <file>", "Name server config properties file")
    .option("-p, --printConfigItem", "Print all config items")
    .option("--bind <address>", "address to listen on (default 0.0.0.0)")
    .action((flags: StartFlags) => namesrv(flags));
}

function mqbroker(): Command {
  return new Command("mqbroker")
    .description("Broker")
    .option("-c, --configFile <file>", "Broker config properties file")
    .option("-n, --namesrvAddr <addresses>", "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'")
    .option("-p, --printConfigItem", "Print all config items")
    .option("-m, --printImportantConfig", "Print important config items")
    .option("--bind <address>", "address to listen on (default 0.0.0.0)")
    .option("--enable-proxy", "serve the 5.x gRPC protocol, too")
    .option("--proxyConfigPath <file>", "rmq-proxy.json, options of the gRPC protocol (also -pc)")
    .action((flags: StartFlags) => broker(flags));
}

function mqproxy(): Command {
  return new Command("mqproxy")
    .description("The 5.x gRPC protocol in front of a cluster")
    .option("-n, --namesrvAddr <addresses>", "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'")
    .option("--proxyConfigPath <file>", "rmq-proxy.json (also -pc)")
    .option(
      "--proxyMode <mode>",
      "cluster: in front of brokers (default); local: with a broker in this process (also -pm)",
    )
    .option("--brokerConfigPath <file>", "broker.conf of local mode (also -bc)")
    .option("-p, --printConfigItem", "print the effective configuration and exit")
    .option("--bind <address>", "address to listen on (default 0.0.0.0)")
    .action((flags: StartFlags) => proxy(flags));
}

async function start(flags: StartFlags): Promise<void> {
  const log = await openLog();
  const file = readOptions(flags.configFile, "BROKER");
  const bind = flags.bind ?? file.get("bindAddress") ?? "127.0.0.1";
  const entries = new Map([["brokerName", "broker-a"], ["storePathRootDir", "./data"], ...file]);
  if (flags.store !== undefined) entries.set("storePathRootDir", flags.store);
  if (flags.listenPort !== undefined) entries.set("listenPort", flags.listenPort);
  if (flags.namesrvAddr !== undefined) entries.set("namesrvAddr", flags.namesrvAddr);
  const config = brokerConfig(entries, bind, log);
  const namesrvEntries = new Map([
    ["listenPort", flags.namesrvPort ?? "9876"],
    ["kvConfigPath", join(config.storePathRootDir, "namesrv", "kvConfig.json")],
  ]);
  const shards = flags.shards === undefined ? undefined : parseShards(flags.shards);
  if (flags.printConfigItem && shards === undefined) return print(config);
  const grpc = proxyConfig(flags, bind, log);
  const topics = flags.topics === undefined ? [] : parseDeclaredTopics(readText(flags.topics), flags.topics);
  const namesrv = loadNamesrvConfig(namesrvEntries, thisMachine(bind)).config;
  if (shards !== undefined) {
    const others: [string, number][] = [["--grpc-port", grpc.grpcServerPort]];
    const own = flags.namesrvAddr === undefined ? namesrv : undefined;
    if (own !== undefined) others.push(["--namesrv-port", own.listenPort]);
    const plans = planShards(shards, config, consoleSettings(flags), others);
    if (flags.printConfigItem) return printShards(plans, bind);
    return startShards({ plans, broker: config, namesrv: own, grpc, bind, topics }, log);
  }
  if (flags.namesrvAddr !== undefined) {
    return runBroker(config, grpc, bind, flags.configFile, log, topics, consoleSettings(flags));
  }

  logAddress(config, `${config.listenPort}`, log);
  const cluster = await startClusterServers(runtime(log), {
    namesrv,
    broker: config,
    grpc,
    topics,
    bind,
    console: consoleSettings(flags),
    brokerConfigFile: flags.configFile,
    onFatal: (error) => dieSoon(error, log),
    onNamesrv: (running) => sayNamesrv(running.address),
  });
  stopOnSignal(cluster, log);
  sayGrpc(bind, cluster.broker.grpcPort);
  sayBroker(config.brokerName, cluster.broker.address, config.namesrvAddr);
}

/** With a NameServer in this process. */
function logAddress(config: BrokerConfig, ports: string, log: Logger): void {
  log.info(
    config.given.has("brokerIP1")
      ? `clients are told the address ${config.brokerIP1}:${ports} (brokerIP1)`
      : "clients are told the address by which they reached the NameServer; set brokerIP1 to fix it",
  );
}

/** The process that keeps the shards, from their first start to the end of all. */
async function startShards(
  options: Omit<ShardedClusterOptions, "startShard" | "onNoneLeft">,
  log: Logger,
): Promise<void> {
  const { plans, broker, bind } = options;
  const cluster = await startShardedCluster(runtime(log), {
    ...options,
    startShard: systemProcesses(process.argv[1]),
    onNoneLeft: () => {
      log.fatal("no shard is left; the process ends");
      cluster.close().finally(() => process.exit(EXIT_FAILURE));
    },
  });
  stopOnSignal(cluster, log);
  // While every shard waits for its next start, nothing else might keep this process alive.
  setInterval(() => {}, KEEP_ALIVE_MS);
  if (cluster.namesrv !== undefined) {
    logAddress(broker, plans.map(({ listenPort }) => listenPort).join(", "), log);
    sayNamesrv(cluster.namesrv.address);
  }
  sayGrpc(bind, cluster.grpcPort);
  try {
    const addresses = await cluster.startShards();
    for (const [index, { name }] of plans.entries()) sayBroker(name, addresses[index], cluster.namesrvAddr);
  } catch (error) {
    await cluster.close().catch(() => {});
    throw error;
  }
}

/** One shard: bin/skylark shard, with its supervisor at the other end of a channel. */
async function shard(): Promise<void> {
  const channel = supervisorChannel();
  for (const signal of STOP_SIGNALS) process.off(signal, endAtOnce);
  // Ctrl-C reaches all processes of a terminal; the supervisor says when to stop.
  process.on("SIGINT", () => {});
  const open = async (name: string) => runtime(await createLogger(process.env.SKYLARK_LOG_LEVEL, { shard: name }));
  await runShard(open, channel, {
    onStop: (stop) => void process.on("SIGTERM", stop),
    exit: (code) => process.exit(code),
    die: exitSoon,
  });
}

/** Where the console is, unless it is not wanted. */
function consoleSettings(flags: StartFlags): ConsoleSettings | undefined {
  if (flags.console === false) return undefined;
  const port = Number(flags.consolePort ?? CONSOLE_PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ConfigError([`--console-port ${flags.consolePort}: not a port`]);
  }
  return { host: flags.consoleBind ?? "127.0.0.1", port, isGiven: flags.consolePort !== undefined };
}

async function examine(flags: DoctorFlags): Promise<void> {
  const [{ doctor }, { signerOf, toolsFile }] = await Promise.all([
    import("./mqadmin/doctor/doctor.ts"),
    import("./mqadmin/credentials.ts"),
  ]);
  // Not by a flag with the secret itself: whoever lists processes would read it.
  const file = flags.tools ?? toolsFile(process.env);
  const isThere = file !== undefined && (flags.tools !== undefined || existsSync(file));
  const sign = isThere ? signerOf(readText(file)) : undefined;
  const namesrvAddr = flags.namesrvAddr ?? process.env.NAMESRV_ADDR ?? "127.0.0.1:9876";
  process.exitCode = await doctor({ ...flags, namesrvAddr, sign }, (text) => process.stdout.write(text), openFilesMax);
}

/** The soft limit of this process, where the system tells it. */
function openFilesMax(): number | undefined {
  if (!existsSync("/proc/self/limits")) return undefined;
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return soft === undefined ? undefined : Number(soft);
}

async function namesrv(flags: StartFlags): Promise<void> {
  const log = await openLog();
  const file = readOptions(flags.configFile, "NAMESRV");
  const bind = flags.bind ?? file.get("bindAddress") ?? "0.0.0.0";
  const { config, warnings } = loadNamesrvConfig(file, thisMachine(bind));
  for (const warning of warnings) log.warn(warning);
  if (flags.printConfigItem) return print(config);
  const running = await startNamesrvServer(runtime(log), { config, bind, configFile: flags.configFile });
  stopOnSignal(running, log);
  sayNamesrv(running.address);
}

async function broker(flags: StartFlags): Promise<void> {
  const log = await openLog();
  const entries = readOptions(flags.configFile, "BROKER");
  const bind = flags.bind ?? entries.get("bindAddress") ?? "0.0.0.0";
  const addresses = flags.namesrvAddr ?? (entries.has("namesrvAddr") ? undefined : process.env.NAMESRV_ADDR);
  if (addresses !== undefined) entries.set("namesrvAddr", addresses);
  const config = brokerConfig(entries, bind, log);
  if (flags.printConfigItem || flags.printImportantConfig) return print(config);
  const grpc = flags.enableProxy ? proxyConfig(flags, bind, log) : undefined;
  await runBroker(config, grpc, bind, flags.configFile, log);
}

async function proxy(flags: StartFlags): Promise<void> {
  const log = await openLog();
  const bind = flags.bind ?? "0.0.0.0";
  const config = proxyConfig(flags, bind, log);
  const namesrvAddr = flags.namesrvAddr ?? config.namesrvAddr ?? process.env.NAMESRV_ADDR;
  config.namesrvAddr = namesrvAddr;
  if (flags.printConfigItem) return print(config);
  const mode = (flags.proxyMode ?? config.proxyMode).toUpperCase();
  if (mode === "LOCAL") {
    const entries = readOptions(flags.brokerConfigPath, "BROKER");
    if (namesrvAddr !== undefined) entries.set("namesrvAddr", namesrvAddr);
    return runBroker(brokerConfig(entries, bind, log), config, bind, flags.brokerConfigPath, log);
  }
  if (mode !== "CLUSTER") throw new ConfigError([`proxyMode=${mode}: neither LOCAL nor CLUSTER`]);
  const running = await startProxyServer(runtime(log), { config, bind });
  stopOnSignal(running, log);
  sayGrpc(bind, running.port);
}

async function runBroker(
  config: BrokerConfig,
  grpc: ProxyConfig | undefined,
  bind: string,
  configFile: string | undefined,
  log: Logger,
  topics: readonly DeclaredTopic[] = [],
  settings?: ConsoleSettings,
): Promise<void> {
  const how = config.given.has("brokerIP1")
    ? "brokerIP1"
    : isWildcard(bind)
      ? "this machine's first address"
      : "--bind";
  log.info(`clients are told the address ${config.brokerIP1}:${config.listenPort} (${how})`);
  const running = await startBrokerServer(runtime(log), {
    config,
    grpc,
    console: settings,
    topics,
    bind,
    configFile,
    onFatal: (error) => dieSoon(error, log),
  });
  stopOnSignal(running, log);
  sayGrpc(bind, running.grpcPort);
  sayBroker(config.brokerName, running.address, config.namesrvAddr);
}

async function openLog(): Promise<Logger> {
  const log = await createLogger(process.env.SKYLARK_LOG_LEVEL);
  const line = jvmVariablesLine(process.env);
  if (line !== undefined) log.info(line);
  return log;
}

/** Apache's scripts hand such flags to the JVM; those that mean something here keep their meaning. */
function runtime(log: Logger): Runtime {
  return systemRuntime(log, javaProperties(process.env));
}

function proxyConfig(flags: StartFlags, bind: string, log: Logger): ProxyConfig {
  const file = flags.proxyConfigPath === undefined ? undefined : readText(flags.proxyConfigPath);
  const entries = file === undefined ? new Map<string, string>() : parseProxyJson(file);
  if (flags.grpcPort !== undefined) entries.set("grpcServerPort", flags.grpcPort);
  const { config, warnings } = loadProxyConfig(entries, thisMachine(bind));
  for (const warning of warnings) log.warn(warning);
  return config;
}

function brokerConfig(entries: Map<string, string>, bind: string, log: Logger): BrokerConfig {
  const { config, warnings } = loadBrokerConfig(entries, thisMachine(bind));
  for (const warning of warnings) log.warn(warning);
  return config;
}

/** The options of a configuration file and, over them, of the environment. */
function readOptions(file: string | undefined, role: Role): Map<string, string> {
  const entries = file === undefined ? [] : parseProperties(readText(file));
  return new Map([...entries, ...environmentOptions(process.env, role)]);
}

function readText(file: string): string {
  const full = resolve(file);
  if (!existsSync(full)) throw new Error(`the configuration file ${full} does not exist`);
  return readFileSync(full, "utf8");
}

function print(config: BrokerConfig | NamesrvConfig | ProxyConfig): void {
  for (const [key, value] of effectiveConfig(config)) process.stdout.write(`${key}=${value}\n`);
}

/** Of each shard, as the file of all and the flags say it. */
function printShards(plans: readonly ShardPlan[], bind: string): void {
  for (const { name, entries } of plans) {
    process.stdout.write(`# ${name}\n`);
    print(loadBrokerConfig(entries, thisMachine(bind)).config);
  }
}

/** Scripts wait for these lines; they are Apache's to the letter (NamesrvStartup, BrokerStartup). */
function sayNamesrv(address: string): void {
  process.stdout.write(`The Name Server boot success. serializeType=JSON, address ${address}\n`);
}

/** ProxyStartup's words. */
function sayGrpc(bind: string, port: number | undefined): void {
  if (port !== undefined) process.stdout.write(`rocketmq-proxy startup successfully, address ${bind}:${port}\n`);
}

function sayBroker(brokerName: string, address: string, namesrvAddr: string | undefined): void {
  const where = namesrvAddr === undefined ? "" : ` and name server is ${namesrvAddr}`;
  process.stdout.write(`The broker[${brokerName}, ${address}] boot success. serializeType=JSON${where}\n`);
}

/**
 * What a signal does without a handler, while a server starts: there is nothing to end in order yet. As process 1 of a container it would do nothing,
 * and who stops the container would wait ten seconds and kill.
 */
function endAtOnce(signal: NodeJS.Signals): void {
  process.exit(EXIT_SIGNAL + constants.signals[signal]);
}

function stopOnSignal(server: Closable, log: Logger): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, "stopping");
    server.close().then(
      () => process.exit(0),
      (error: Error) => {
        log.error({ err: error }, "not stopped in order");
        process.exit(EXIT_FAILURE);
      },
    );
  };
  for (const signal of STOP_SIGNALS) process.off(signal, endAtOnce).on(signal, stop);
}

/** The store is read-only and can promise nothing any more: the process ends with an error after a last word. */
function dieSoon(error: Error, log: Logger): void {
  log.fatal({ err: error }, "the store failed; the process ends");
  exitSoon();
}

function exitSoon(): void {
  setTimeout(() => process.exit(EXIT_FAILURE), FATAL_GRACE_MS);
}
