// Reads the wire and the options out of the Apache 5.5.0 jars by reflection and writes them as proto/remoting.json and
// proto/options.json: `node compat-tests/dumper/dump.mjs`. The pairing of request codes with headers, which no reflection can see in full,
// is kept by hand in pairs.json and checked here against the annotations.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { apacheJars } from "./jars.mjs";
import { withDumper } from "./java.mjs";
import { layout } from "./layout.mjs";
import { symbolicDefault } from "./symbolic.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PROTO = fileURLToPath(new URL("../../proto/", import.meta.url));
/** Enough points to tell a line from a minimum; the first two must be one apart. */
const PROCESSOR_COUNTS = [1, 2, 3, 8, 200];

/**
 * @param {string} jarDirectory the Apache jars with all their dependencies.
 * @returns {Record<string, unknown>} file name inside proto/ -> its content.
 */
export function dump(jarDirectory) {
  return withDumper(jarDirectory, (view) => ({
    "remoting.json": remoting(view("remoting", jarDirectory)),
    "options.json": options(PROCESSOR_COUNTS.map((count) => view("options", "", count))),
  }));
}

function remoting(wire) {
  const pairs = JSON.parse(readFileSync(join(HERE, "pairs.json"), "utf8"));
  const headers = wire.headers.map(header).sort((a, b) => (a.name < b.name ? -1 : 1));
  const requestCodes = Object.entries(wire.requestCodes)
    .map(([name, code]) => ({ code, name, ...pairs[name] }))
    .sort((a, b) => a.code - b.code);
  checkPairs(pairs, wire.requestCodes, headers);
  return {
    release: "5.5.0",
    requestCodes,
    responseCodes: sortedByNumber(wire.responseCodes),
    languages: sortedByNumber(wire.languages),
    currentVersion: wire.currentVersion,
    versions: sortedByNumber(wire.versions),
    headers,
  };
}

function header({ class: className, fields, ...rest }) {
  return { ...rest, class: className, fields: fields.map(field) };
}

/** A field that starts as the time of day has the initial value "now"; the zeros of primitives are said by their type. */
function field({ initial, ...rest }) {
  if (initial === undefined || initial === 0 || initial === false) return rest;
  return { ...rest, initial: initial > 1e12 ? "now" : initial };
}

function sortedByNumber(constants) {
  return Object.fromEntries(Object.entries(constants).sort((a, b) => a[1] - b[1]));
}

function checkPairs(pairs, requestCodes, headers) {
  const names = new Set(headers.map((each) => each.name));
  const wrong = [];
  for (const name of new Set([...Object.keys(pairs), ...Object.keys(requestCodes)])) {
    const pair = pairs[name];
    if (requestCodes[name] === undefined) wrong.push(`${name} is no request code`);
    if (pair === undefined) wrong.push(`${name} is missing`);
    for (const each of [pair?.request, pair?.response]) {
      if (each && !names.has(each)) wrong.push(`${name}: there is no ${each}`);
    }
  }
  for (const { name, action } of headers) {
    if (action === undefined || name.endsWith("ResponseHeader")) continue;
    const code = Object.keys(requestCodes).find((each) => requestCodes[each] === action.code);
    if (pairs[code]?.request !== name) wrong.push(`${code}: the annotation says ${name}`);
  }
  if (wrong.length > 0) throw new Error(`pairs.json: ${wrong.join("; ")}`);
}

function options(dumps) {
  const machines = dumps.map((each) => each.machine);
  const classes = Object.entries(dumps[0].classes).map(([name, { class: className, fields, settersWithoutField }]) => ({
    name,
    class: className,
    options: Object.entries(fields).map(([key, { type, setter, values, important }]) => ({
      key,
      type,
      default: symbolicDefault(
        dumps.map((each, i) => ({ machine: machines[i], value: each.classes[name].fields[key].default })),
      ),
      ...(values && { values }),
      settable: setter.length > 0,
      important,
    })),
    settersWithoutField,
  }));
  return { release: "5.5.0", classes };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const jars = apacheJars();
  if ("missing" in jars) throw new Error(jars.missing);
  for (const [name, content] of Object.entries(dump(jars.directory))) {
    writeFileSync(join(PROTO, name), layout(content));
  }
}
