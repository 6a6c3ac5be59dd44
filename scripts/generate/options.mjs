// proto/options.json -> src/config/generated: every option of Apache's broker, NameServer and proxy as a typed field and a table row.

import { head } from "./text.mjs";

const SOURCE = "proto/options.json";
const FOLDER = "src/config/generated";

/** Which classes a process reads from its properties file; of two fields of one name the later is the one that Apache prints. */
const TABLES = [
  {
    file: "brokerOptions.ts",
    type: "BrokerOptions",
    table: "BROKER_OPTIONS",
    role: "broker",
    classes: ["AuthConfig", "BrokerConfig", "NettyServerConfig", "NettyClientConfig", "MessageStoreConfig"],
  },
  {
    file: "namesrvOptions.ts",
    type: "NamesrvOptions",
    table: "NAMESRV_OPTIONS",
    role: "NameServer",
    classes: ["NettyClientConfig", "NamesrvConfig", "NettyServerConfig"],
  },
  {
    file: "proxyOptions.ts",
    type: "ProxyOptions",
    table: "PROXY_OPTIONS",
    role: "proxy",
    classes: ["ProxyConfig"],
    // What Apache computes from other options and keeps beside them.
    without: ["delayLevelTable"],
  },
];

const OPTION_TYPE = {
  String: "string",
  int: "int",
  Integer: "int",
  long: "long",
  boolean: "boolean",
  double: "double",
};
const TYPESCRIPT_TYPE = { int: "number", long: "number", double: "number", boolean: "boolean" };

/** @param {object} options the content of proto/options.json. @returns {Record<string, string>} path -> source text. */
export function optionFiles(options) {
  const byClass = new Map(options.classes.map((each) => [each.name, each.options]));
  return Object.fromEntries(
    TABLES.map((table) => [`${FOLDER}/${table.file}`, optionFile(options.release, byClass, table)]),
  );
}

function optionFile(release, byClass, { type, table, role, classes, without = [] }) {
  const merged = new Map(
    classes.flatMap((apache) => byClass.get(apache).map((option) => [option.key, { ...option, apache }])),
  );
  const options = [...merged.values()]
    .filter((option) => !without.includes(option.key))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(typed);
  return (
    head(SOURCE, `Every option of an Apache RocketMQ ${release} ${role}, sorted by key as Apache prints them.`) +
    'import type { ApacheOption } from "../option.ts";\n\n' +
    `export type ${type} = {\n${options.map(member).join("")}};\n\n` +
    `export const ${table}: readonly ApacheOption<keyof ${type}>[] = [\n${options.map(row).join("")}];\n`
  );
}

function typed(option) {
  const type = option.values === undefined ? OPTION_TYPE[option.type] : "enum";
  if (type === undefined) throw new Error(`${option.apache}.${option.key}: no option type for Java's ${option.type}`);
  return { ...option, type };
}

function member({ key, type, values, default: initial }) {
  const typeScript =
    type === "enum" ? values.map((each) => JSON.stringify(each)).join(" | ") : (TYPESCRIPT_TYPE[type] ?? "string");
  return `  ${key}: ${typeScript}${initial === null ? " | undefined" : ""};\n`;
}

function row({ key, type, values, default: initial, apache, settable, important }) {
  const parts = [
    `key: ${JSON.stringify(key)}`,
    `type: ${JSON.stringify(type)}`,
    `default: ${initial === null ? "undefined" : JSON.stringify(initial)}`,
    `apache: ${JSON.stringify(apache)}`,
    ...(values === undefined ? [] : [`values: ${JSON.stringify(values)}`]),
    ...(settable ? [] : ["settable: false"]),
    ...(important ? ["important: true"] : []),
  ];
  return `  { ${parts.join(", ")} },\n`;
}
