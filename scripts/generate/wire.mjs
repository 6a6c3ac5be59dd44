// proto/remoting.json -> src/protocol/generated: codes as constant objects, each header as a type and a schema of the same name.

import { constantObject, head } from "./text.mjs";

const SOURCE = "proto/remoting.json";
const FOLDER = "src/protocol/generated";

/** Java field type -> type on the wire. A BoundaryType travels as its name in any case. */
const WIRE_TYPE = {
  String: "string",
  BoundaryType: "string",
  int: "int",
  Integer: "int",
  long: "long",
  Long: "long",
  boolean: "boolean",
  Boolean: "boolean",
};
const TYPESCRIPT_TYPE = { string: "string", int: "number", long: "number", boolean: "boolean" };

/** @param {object} wire the content of proto/remoting.json. @returns {Record<string, string>} path -> source text. */
export function wireFiles(wire) {
  return {
    [`${FOLDER}/requestCodes.ts`]: requestCodes(wire),
    [`${FOLDER}/responseCodes.ts`]: responseCodes(wire),
    [`${FOLDER}/languages.ts`]: languages(wire),
    [`${FOLDER}/versions.ts`]: versions(wire),
    [`${FOLDER}/headers.ts`]: headers(wire),
    [`${FOLDER}/requests.ts`]: requests(wire),
  };
}

function requestCodes(wire) {
  const entries = wire.requestCodes.map(({ name, code }) => [name, code]);
  return (
    head(SOURCE, `Every request code of Apache RocketMQ ${wire.release} (RequestCode), by number.`) +
    constantObject("RequestCode", entries) +
    "\nexport type RequestCodeName = keyof typeof RequestCode;\n" +
    "export type RequestCode = (typeof RequestCode)[RequestCodeName];\n"
  );
}

function responseCodes(wire) {
  return (
    head(
      SOURCE,
      `Every response code of Apache RocketMQ ${wire.release} (ResponseCode, RemotingSysResponseCode), by number.`,
    ) +
    constantObject("ResponseCode", Object.entries(wire.responseCodes)) +
    "\nexport type ResponseCodeName = keyof typeof ResponseCode;\n" +
    "export type ResponseCode = (typeof ResponseCode)[ResponseCodeName];\n"
  );
}

function languages(wire) {
  return (
    head(SOURCE, "LanguageCode: the name in a JSON header, the number in a binary one.") +
    constantObject("LanguageCode", Object.entries(wire.languages)) +
    "\nexport type LanguageName = keyof typeof LanguageCode;\n"
  );
}

function versions(wire) {
  return (
    head(
      SOURCE,
      "MQVersion: the number that each release writes as `version` into its headers. Features are gated by comparing them.",
    ) +
    constantObject("MQVersion", Object.entries(wire.versions)) +
    "\nexport type MQVersionName = keyof typeof MQVersion;\n\n" +
    "/** The release whose behaviour this server shows. */\n" +
    `export const CURRENT_VERSION_NAME = ${JSON.stringify(wire.currentVersion)};\n` +
    "export const CURRENT_VERSION = MQVersion[CURRENT_VERSION_NAME];\n"
  );
}

function headers(wire) {
  return (
    head(SOURCE, "Every command header of Apache's remoting: its type, and its schema under the same name.") +
    'import type { HeaderSchema } from "../headerSchema.ts";\n\n' +
    wire.headers.map(header).join("\n")
  );
}

function header({ name, abstract, fast, fields }) {
  const each = withoutShadowed(fields).map((field) => ({ ...field, type: wireType(name, field) }));
  const type = `export type ${name} = ${each.length === 0 ? "Record<never, never>" : `{\n${each.map(member).join("")}}`};\n`;
  if (abstract) return type;
  const rows = each.length === 0 ? "[]" : `[\n${each.map(row).join("")}  ]`;
  return (
    type +
    `export const ${name}: HeaderSchema<${name}> = {\n` +
    `  name: ${JSON.stringify(name)},\n  fields: ${rows},\n  enforced: ${fast},\n};\n`
  );
}

/** A field declared again in a subclass hides the inherited one. */
function withoutShadowed(fields) {
  return fields.filter((field, i) => fields.findIndex((other) => other.name === field.name) === i);
}

function wireType(header, { name, type }) {
  const wire = WIRE_TYPE[type];
  if (wire === undefined) throw new Error(`${header}.${name}: no wire type for Java's ${type}`);
  return wire;
}

function member({ name, type, required }) {
  const typeScript = TYPESCRIPT_TYPE[type];
  return required ? `  ${name}: ${typeScript};\n` : `  ${name}?: ${typeScript} | undefined;\n`;
}

function row({ name, type, required, initial }) {
  const known = initial === undefined || initial === "now" ? "" : `, initial: ${JSON.stringify(initial)}`;
  return `    { name: ${JSON.stringify(name)}, type: ${JSON.stringify(type)}, required: ${required}${known} },\n`;
}

function requests(wire) {
  const used = wire.requestCodes
    .flatMap(({ request, response }) => [request, response])
    .filter((name) => name !== null);
  const imports = [...new Set(used)].sort().map((name) => `  ${name},\n`);
  const rows = wire.requestCodes.map(
    ({ code, name, direction, request, response }) =>
      `  { code: ${code}, name: ${JSON.stringify(name)}, direction: ${JSON.stringify(direction)}, request: ${request ?? "undefined"}, response: ${response ?? "undefined"} },\n`,
  );
  return (
    head(
      SOURCE,
      "Which headers each request code travels with, and between whom: the grammar of the wire as one table.",
    ) +
    `import {\n${imports.join("")}} from "./headers.ts";\n` +
    'import type { HeaderSchema } from "../headerSchema.ts";\n\n' +
    "export interface RequestGrammar {\n" +
    "  readonly code: number;\n" +
    "  readonly name: string;\n" +
    "  /** `from->to`, several separated by a comma; `none` where nothing in Apache sends the code. */\n" +
    "  readonly direction: string;\n" +
    "  /** undefined: the command travels without a typed header. */\n" +
    "  readonly request: HeaderSchema<unknown> | undefined;\n" +
    "  readonly response: HeaderSchema<unknown> | undefined;\n" +
    "}\n\n" +
    "/** By rising code. */\n" +
    `export const REQUESTS: readonly RequestGrammar[] = [\n${rows.join("")}];\n`
  );
}
