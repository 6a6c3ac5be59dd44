/**
 * docs/configuration.md, made from the option tables and their help, so that it names every key of Apache 5.5.0 with its type,
 * its default and what it does here. `npm run conformance` writes it, handlers/conformance.test.ts fails while it is old.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BROKER_TABLE } from "../config/broker.ts";
import { NAMESRV_TABLE } from "../config/namesrv.ts";
import type { Option } from "../config/option.ts";
import { PROXY_TABLE } from "../config/proxy.ts";
import type { OptionTable } from "../config/table.ts";
import { TLS_ROWS } from "../config/tls.ts";

const CONFIG_DIR = join(import.meta.dirname, "..", "config");

/** Why options without effect have none; the first that matches. What nothing matches has no counterpart here. */
const WITHOUT_EFFECT: readonly (readonly [RegExp, string])[] = [
  [
    /ThreadPool|Threads?$|ThreadNum|WorkerThreads|SelectorThreads|CorePoolSize|MaxPoolSize|SemaphoreValue|^waitTimeMillsIn|WaitTimeMillsIn|LoopNum|QueueCapacity|ThreadQueue|WorkerGroup|CallbackExecutor|^recoverConcurrently|brokerFastFailure|FastChannelEvent/,
    "threads and their queues: one event loop does the work, and nothing waits for a thread",
  ],
  [
    /[Rr]ocks|^combineCQ|DoubleWrite|memTable|bottomMost|configManagerVersion|KVService|^statRocks|storeType|indexRocks|useSingle|transWriteOrigin|RecallToTime/,
    "RocksDB: queues, index and metadata lie in Apache's plain files",
  ],
  [
    /ByteBuf|Socket(Snd|Rcv)Buf|BufferWaterMark|[wW]riteBuffer|Epoll|useReentrant|ABSLock|spinLock|AsyncSend|asyncSend|NettyWorker|transferMsgByHeap|sharedByteBuffer|topicQueueLock|CloseSocket|GoAway|ReconnectInterval|socksProxy|ScanAvailable|ChannelMaxIdle|NotActiveInterval|connectTimeout|ShutdownGracefully|shutdownWait/,
    "Netty, its buffers, locks and client: sockets are Node's",
  ],
  [
    /[sS]wap|[wW]arm|transientStorePool|commitCommitLog|commitIntervalCommitLog|LeastPages|ThoroughInterval|flushCommitLogTimed|StorePool|osPageCache|writeWithoutMmap|ReadAhead|MapedFile|HangedFile|dispatchFrom|^wake|FileChannel|AsyncReput|Concurrently|dispatchCq|putMsgIndex|putMessageTimeout|maxAsyncPut/,
    "memory-mapped files and their threads: the log is written by position, once per turn of the loop",
  ],
  [
    /[cC]ompaction|[bB]atchConsumeQueue|maxOffsetMapSize|Bcq|batchDispatch/,
    "compaction topics and batch queues are not offered",
  ],
  [/DL[eE]d?ger|^dLeger|preferredLeader|enableBatchPush/, "DLedger logs are not offered"],
  [/[cC]old/, "groups are never throttled for reading old messages"],
  [/^(acl|user|stateful).*(Cache|Expired)/, "no old right ever decides, so there is no cache to tune"],
  [/^remoting/, "the proxy has no port for the remoting protocol: classic clients speak with brokers"],
  [
    /^isolateLog|PopLog|commercial|accountStats|print|Jstack|RepeatedlyBuild|debugLock|ProgressLog/,
    "logging of Apache's own",
  ],
  [
    /^pop|^revive|PopBatchAck|PopBufferMerge|appendAck|appendCk|^skipWhenCK|PopCalculateLag/,
    "pops are journaled and revived by deadline, not scanned",
  ],
  [
    /enableSlaveActingMaster|enableRemoteEscape|skipPreOnline|syncBrokerMemberGroup|syncMasterFlushOffset|NotActiveTimeout|replicasPer|duplicationEnable|^is.*Container$|enableAutoInSync|maxSlaveResend/,
    "slaves that act for their master, static topics and broker containers are not part of this version",
  ],
  [
    /AddressServer|AddrInterval|NameServerAddrPeriod|NameSrvAddrByDns|namesrvDomain|clusterTest|productEnv/,
    "NameServers are named in namesrvAddr",
  ],
  [
    /^checkC|RecoverMax|Recovery|recheckReput|disappearTime|correctLogic|maxRecovery|indexFile|messageIndexSafe|diskFall|travelCq|logicalDisk|maxBatchDelete|maxChecksum|AppendPropCRC|VerifyPropCRC|RunningFlags|delete(CommitLog|ConsumeQueue)FilesInterval/,
    "recovery, reading and retention follow the log itself: see docs/storage.md",
  ],
  [/ConsumeQueueExt|BitMap/, "there are no bit maps: filters answer the same without them"],
  [/^timer|scheduleAsync|ScheduleAsync/, "timers and delay levels are driven by one loop"],
];
/** Of the gRPC protocol's metrics: its figures are part of its broker's. */
const PROXY_METRICS: readonly [RegExp, string] = [
  /^metric/,
  "its figures are exported with those of its broker; mqproxy exports none",
];
const NO_COUNTERPART = "nothing here works in a way that it would change";

type Row = Pick<
  Option,
  "key" | "type" | "default" | "values" | "apache" | "effect" | "help" | "reloadable" | "settable"
>;

const cell = (text: string): string => text.replaceAll("|", "\\|");
const typeOf = (row: Pick<Row, "type" | "values">): string =>
  row.type === "enum" ? (row.values ?? []).map((value) => `\`${value}\``).join(" ") : row.type;
const defaultOf = (row: Pick<Row, "default">): string =>
  row.default === undefined ? "unset" : row.default === "" ? "empty" : `\`${cell(row.default)}\``;

/** The headings of a help file (its `// ...` lines between rows) with the keys below each, in its order. */
function sections(file: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let keys: string[] = [];
  for (const line of readFileSync(join(CONFIG_DIR, file), "utf8").split("\n")) {
    const heading = /^ {2}\/\/ (.+)$/.exec(line)?.[1];
    if (heading !== undefined) {
      keys = [];
      found.set(heading, keys);
    }
    const key = /^ {2}(\w+): (?:live|fixed)\(/.exec(line)?.[1];
    if (key === undefined) continue;
    if (found.size === 0) found.set("", keys);
    keys.push(key);
  }
  return found;
}

function acting(table: OptionTable, file: string, isFixed: boolean): string[] {
  const found = sections(file);
  const listed = new Set([...found.values()].flat());
  const shared = table.rows.filter(({ effect, key }) => effect === "live" && !listed.has(key)).map(({ key }) => key);
  if (shared.length > 0) found.set("As in broker.conf", shared);
  const lines: string[] = [];
  for (const [heading, keys] of found) {
    if (heading !== "") lines.push(`### ${heading}`, "");
    lines.push(isFixed ? "| key | type | default | meaning |" : "| key | type | default | acts | meaning |");
    lines.push(isFixed ? "| --- | --- | --- | --- |" : "| --- | --- | --- | --- | --- |");
    for (const key of keys) {
      const row = table.byKey.get(key) as Row;
      const acts = isFixed ? "" : ` ${row.reloadable ? "at once" : "next start"} |`;
      lines.push(`| \`${key}\` | ${typeOf(row)} | ${defaultOf(row)} |${acts} ${cell(row.help)} |`);
    }
    lines.push("");
  }
  return lines;
}

function idle(table: OptionTable): string[] {
  const byReason = new Map([...WITHOUT_EFFECT, PROXY_METRICS].map(([, reason]): [string, Row[]] => [reason, []]));
  byReason.set(NO_COUNTERPART, []);
  for (const row of table.rows) {
    if (row.effect === "live") continue;
    const reasons = table === (PROXY_TABLE as OptionTable) ? [PROXY_METRICS, ...WITHOUT_EFFECT] : WITHOUT_EFFECT;
    const reason = reasons.find(([pattern]) => pattern.test(row.key))?.[1] ?? NO_COUNTERPART;
    byReason.get(reason)?.push(row);
  }
  const lines = ["| key | type | default | why it changes nothing |", "| --- | --- | --- | --- |"];
  for (const [reason, rows] of byReason) {
    for (const row of rows) lines.push(`| \`${row.key}\` | ${typeOf(row)} | ${defaultOf(row)} | ${reason} |`);
  }
  return [...lines, ""];
}

/** The whole page. */
export function configurationPage(): string {
  const count = (table: OptionTable): string => {
    const live = table.rows.filter(({ effect }) => effect === "live").length;
    return `${table.rows.length} keys, ${live} act`;
  };
  return [
    "# Configuration",
    "",
    "<!-- written by `npm run conformance` from the option tables of src/config: do not edit -->",
    "",
    "Every key of Apache RocketMQ 5.5.0 is known, with Apache's type and default. A key that acts has a meaning here; one that does not is kept, printed",
    "and shown to mqadmin, and says why it changes nothing. An unknown key warns and names the nearest known one; a wrong value ends the start with",
    "its reason. `bin/mqbroker -c FILE -p` prints what was understood.",
    "",
    "| file | for | keys |",
    "| --- | --- | --- |",
    `| \`broker.conf\` (\`-c\`) | brokers | [${count(BROKER_TABLE)}](#broker) |`,
    `| \`namesrv.conf\` (\`-c\`) | NameServers | [${count(NAMESRV_TABLE)}](#nameserver) |`,
    `| \`rmq-proxy.json\` (\`-pc\`) | the gRPC protocol of 5.x clients | [${count(PROXY_TABLE)}](#grpc-protocol) |`,
    "| JVM flags `-Dtls.*`, `tls.properties`, or the first two files | TLS | [below](#tls) |",
    "",
    "- Flags win over environment variables (`ROCKETMQ_BROKER_<key>`, `ROCKETMQ_NAMESRV_<key>`), those over the file, the file over defaults.",
    "- `acts: at once` means that `mqadmin updateBrokerConfig` changes the running broker. Others it keeps until the next start, and says so. Changed keys are",
    "  written to the file of `-c`, if there is one.",
    "- `$" +
      "{user.home}`, `$" +
      "{host.name}` and their like are the machine's; `$" +
      "{cpu}` is its number of processors.",
    "- Both spellings of `maped` and `mapped` are taken.",
    "",
    "## Broker",
    "",
    ...acting(BROKER_TABLE as OptionTable, "brokerHelp.ts", false),
    "### Known, without effect",
    "",
    ...idle(BROKER_TABLE as OptionTable),
    "## NameServer",
    "",
    ...acting(NAMESRV_TABLE as OptionTable, "namesrvHelp.ts", false),
    "### Known, without effect in a NameServer",
    "",
    ...idle(NAMESRV_TABLE as OptionTable),
    "## gRPC protocol",
    "",
    "All act at the next start.",
    "",
    ...acting(PROXY_TABLE as OptionTable, "proxyHelp.ts", true),
    "### Known, without effect in the gRPC protocol",
    "",
    ...idle(PROXY_TABLE as OptionTable),
    "## TLS",
    "",
    "Where these stand and who wins is in the [README](../README.md); what they protect from in [security](security.md). Changed certificate files are in force within a second.",
    "",
    "| key | type | default |",
    "| --- | --- | --- |",
    ...TLS_ROWS.map((row) => `| \`${row.key}\` | ${typeOf(row)} | ${defaultOf(row)} |`),
    "",
  ].join("\n");
}
