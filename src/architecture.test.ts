/**
 * The structure of the source as a test: who may import whom (design: data flows one way), no cycles, and the four ports
 * for the four sources of chance. Checks structure, not taste.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { BROKER_TABLE } from "./config/broker.ts";
import { BROKER_HELP } from "./config/brokerHelp.ts";
import { NAMESRV_HELP } from "./config/namesrvHelp.ts";
import { PROXY_HELP } from "./config/proxyHelp.ts";

const SRC = import.meta.dirname;

/** What each folder may import besides itself. The table in ARCHITECTURE.md says why. */
const MAY_IMPORT: Record<string, string[]> = {
  base: [],
  message: ["base"],
  filter: ["base", "message"],
  protocol: ["base"],
  config: ["base"],
  metrics: ["base"],
  store: ["base", "message", "filter", "config", "metrics"],
  ha: ["base", "config", "metrics", "store"],
  tls: ["base", "config"],
  remoting: ["base", "protocol", "config", "metrics", "tls"],
  namesrv: ["base", "protocol", "config", "store"],
  broker: ["base", "message", "filter", "protocol", "config", "metrics", "store"],
  auth: ["base", "protocol", "config", "store", "broker"],
  handlers: ["base", "message", "filter", "protocol", "config", "metrics", "store", "broker", "auth"],
  grpc: ["base", "message", "filter", "protocol", "config", "metrics", "store", "broker", "handlers", "tls", "auth"],
  http: ["base", "message", "filter", "protocol", "config", "metrics", "store", "broker", "handlers"],
  server: [
    "base",
    "message",
    "filter",
    "protocol",
    "config",
    "metrics",
    "store",
    "remoting",
    "ha",
    "namesrv",
    "broker",
    "handlers",
    "grpc",
    "http",
    "tls",
    "auth",
  ],
  mqadmin: ["auth", "base", "message", "protocol", "config", "remoting", "broker"],
  mqstore: ["base", "message", "protocol", "config", "store", "broker"],
  testing: [
    "base",
    "message",
    "filter",
    "protocol",
    "config",
    "metrics",
    "store",
    "remoting",
    "ha",
    "namesrv",
    "broker",
    "handlers",
    "grpc",
    "tls",
    "auth",
  ],
};
/** The two entries wire everything; the tools are programs of their own, because nothing of the server is to be loaded for them. */
const ENTRIES = new Set(["index.ts", "cli.ts", "mqadmin/main.ts", "mqstore/main.ts"]);
/** Of the broker, mqadmin may only know what topics may be called and what attributes are. */
const MQADMIN_BROKER_FILES = new Set(["broker/names.ts", "broker/attributes.ts"]);
/** Of access control, mqadmin may only know how requests are signed and how its file is read. */
const MQADMIN_AUTH_FILES = new Set(["auth/signature.ts", "auth/toolsFile.ts", "auth/yaml.ts"]);
/** Of the broker, mqstore may only know names and what delay levels mean. */
const MQSTORE_BROKER_FILES = new Set(["broker/names.ts", "broker/delayLevels.ts"]);
/** Of the store, the NameServer may only know how small files are kept. */
const NAMESRV_STORE_FILES = new Set(["store/metadataFile.ts"]);

/** Of the broker, access control may only know how tables are kept and what names are; of the store, how small files are. */
const AUTH_FILES = new Set(["broker/tableFile.ts", "broker/names.ts", "store/metadataFile.ts"]);

/** Where each source of chance may be touched. */
const PORTS: { name: string; pattern: RegExp; allowed: (file: string) => boolean }[] = [
  {
    name: "Disk: node:fs only in store/disk.ts (and where the command line reads its files)",
    pattern: /from "node:fs|require\("fs/,
    allowed: (file) => file === "store/disk.ts" || ENTRIES.has(file),
  },
  {
    name: "Clock: Date and timers only in base/clock.ts",
    pattern: /\bDate\.now\(|\bnew Date\b|\bset(Timeout|Interval|Immediate)\(|\bperformance\.now\(/,
    allowed: (file) => file === "base/clock.ts" || file === "cli.ts",
  },
  {
    name: "Random: chance only in base/random.ts",
    pattern: /Math\.random\(|randomBytes|randomUUID|randomInt\(|getRandomValues/,
    allowed: (file) => file === "base/random.ts",
  },
  {
    name: "Net: sockets only in remoting, grpc, http, tls and the links of ha",
    pattern: /from "node:(net|tls|http|https|http2|dgram)"/,
    allowed: (file) =>
      file.startsWith("remoting/") ||
      file.startsWith("grpc/") ||
      file.startsWith("http/") ||
      file.startsWith("tls/") ||
      file === "ha/link.ts",
  },
  {
    name: "Processes: only server/shards/processes.ts starts any",
    pattern: /from "node:(child_process|worker_threads|cluster)"/,
    allowed: (file) => file === "server/shards/processes.ts",
  },
];

const files = [...walk(SRC)].map((file) => relative(SRC, file)).filter((file) => file.endsWith(".ts"));
const product = files.filter(
  (file) => !file.endsWith(".test.ts") && !file.startsWith("testing/") && !file.includes(".testdata."),
);

function* walk(dir: string): IterableIterator<string> {
  for (const name of readdirSync(dir)) {
    const file = join(dir, name);
    if (statSync(file).isDirectory()) yield* walk(file);
    else yield file;
  }
}

/** Source without comments, so that prose may name what code may not. */
function code(file: string): string {
  return readFileSync(join(SRC, file), "utf8")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/^\s*\/\/.*$/gm, "");
}

function imports(file: string): string[] {
  return [...code(file).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map(([, path]) =>
    relative(SRC, join(SRC, dirname(file), path)),
  );
}

/** Only imports that survive compilation tie files together at run time. */
function runtimeImports(file: string): string[] {
  return [...code(file).matchAll(/import\s+(?!type\b)([^;]*?)\s+from\s+"(\.[^"]+)"/g)]
    .filter(([, names]) => !/^\{(\s*type\s+\w+(\s+as\s+\w+)?\s*,?)*\s*\}$/.test(names))
    .map(([, , path]) => relative(SRC, join(SRC, dirname(file), path)));
}

const folderOf = (file: string): string => (file.includes("/") ? file.slice(0, file.indexOf("/")) : "");

describe("architecture", () => {
  it("knows every folder", () => {
    const folders = [...new Set(files.map(folderOf))].filter((folder) => folder !== "");
    expect(folders.filter((folder) => !(folder in MAY_IMPORT))).toEqual([]);
  });

  it("imports only downward", () => {
    const wrong: string[] = [];
    for (const file of product) {
      const folder = folderOf(file);
      if (folder === "") continue;
      for (const target of imports(file)) {
        const to = folderOf(target);
        if (to === folder || MAY_IMPORT[folder].includes(to)) continue;
        wrong.push(`${file} -> ${target}`);
      }
      if (folder === "mqadmin") {
        for (const target of imports(file)) {
          if (folderOf(target) === "broker" && !MQADMIN_BROKER_FILES.has(target)) wrong.push(`${file} -> ${target}`);
          if (folderOf(target) === "auth" && !MQADMIN_AUTH_FILES.has(target)) wrong.push(`${file} -> ${target}`);
        }
      }
      if (folder === "mqstore") {
        for (const target of imports(file)) {
          if (folderOf(target) === "broker" && !MQSTORE_BROKER_FILES.has(target)) wrong.push(`${file} -> ${target}`);
        }
      }
      if (folder === "namesrv") {
        for (const target of imports(file)) {
          if (folderOf(target) === "store" && !NAMESRV_STORE_FILES.has(target)) wrong.push(`${file} -> ${target}`);
        }
      }
      if (folder === "auth") {
        for (const target of imports(file)) {
          if (["broker", "store"].includes(folderOf(target)) && !AUTH_FILES.has(target))
            wrong.push(`${file} -> ${target}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it("has no file at the top but the two entries and this test", () => {
    expect(files.filter((file) => folderOf(file) === "").sort()).toEqual([
      "architecture.test.ts",
      "cli.ts",
      "index.ts",
    ]);
  });

  it("has no cycles among the files", () => {
    const graph = new Map(
      product.map((file) => [file, runtimeImports(file).filter((target) => product.includes(target))]),
    );
    const state = new Map<string, "open" | "done">();
    const cycles: string[] = [];
    const visit = (file: string, trail: string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        cycles.push([...trail.slice(trail.indexOf(file)), file].join(" -> "));
        return;
      }
      state.set(file, "open");
      for (const target of graph.get(file) ?? []) visit(target, [...trail, file]);
      state.set(file, "done");
    };
    for (const file of graph.keys()) visit(file, []);
    expect(cycles).toEqual([]);
  });

  for (const { name, pattern, allowed } of PORTS) {
    it(`keeps the port ${name}`, () => {
      expect(product.filter((file) => !allowed(file) && pattern.test(code(file)))).toEqual([]);
    });
  }

  it("lists an option as acting only where code reads it", () => {
    const readers = product
      .filter((file) => !/^config\/(brokerHelp|namesrvHelp|proxyHelp|generated)/.test(file))
      .map(code)
      .join("\n");
    const unread = (help: object) => Object.keys(help).filter((key) => !new RegExp(`\\b${key}\\b`).test(readers));
    expect({
      broker: unread(BROKER_HELP),
      namesrv: unread(NAMESRV_HELP),
      proxy: unread(PROXY_HELP),
    }).toEqual({ broker: [], namesrv: [], proxy: [] });
  });

  it("lists no option as without effect that code reads", () => {
    // Only shown to operators, or corrected for them.
    const shown = [
      "bitMapLengthConsumeQueueExt",
      "cgColdReadThreshold",
      "coldDataFlowControlEnable",
      "endTransactionPoolQueueCapacity",
      "globalColdReadThreshold",
      "storeType",
    ];
    const read = new Set(
      product
        .filter((file) => !/^config\/(brokerHelp|namesrvHelp|proxyHelp|generated)/.test(file))
        .flatMap((file) => [...code(file).matchAll(/\b(?:config|options|Options)\.(\w+)/g)].map(([, key]) => key)),
    );
    const idle = BROKER_TABLE.rows.filter(({ effect }) => effect === "accepted").map(({ key }) => key);
    expect(idle.filter((key) => read.has(key))).toEqual(shown);
  });

  it("imports nothing that nobody imports: every product file is reached from an entry", () => {
    const reached = new Set<string>();
    const queue = [...ENTRIES];
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      if (reached.has(file)) continue;
      reached.add(file);
      queue.push(...imports(file));
    }
    // The table of all requests is for tests and the README's conformance table.
    const data = new Set(["protocol/generated/requests.ts"]);
    expect(product.filter((file) => !reached.has(file) && !data.has(file))).toEqual([]);
  });
});
