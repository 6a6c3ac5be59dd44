// proto/apache/rocketmq/v2/*.proto -> src/grpc/generated: messages and enums as TypeScript types, and the descriptors as
// plain data, so that a server parses no .proto file when it starts.

import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import { constantObject, head } from "./text.mjs";

const PROTO = fileURLToPath(new URL("../../proto/", import.meta.url));
const PACKAGE = "apache.rocketmq.v2";
const SOURCE = "proto/apache/rocketmq/v2/*.proto";

const SCALARS = {
  string: "string",
  bytes: "Buffer",
  bool: "boolean",
  int32: "number",
  int64: "number",
  float: "number",
};

/** @param {string[]} names file names without suffix. @param {boolean} keepCase field names as written, not in camel case. */
export function readProtos(names, keepCase) {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => (target.startsWith("google/") ? target : `${PROTO}${target}`);
  root.loadSync(
    names.map((name) => `apache/rocketmq/v2/${name}.proto`),
    { keepCase },
  );
  root.resolveAll();
  return root;
}

/** @returns {Record<string, string>} path -> source text. */
export function grpcFiles() {
  const root = readProtos(["definition", "service"], false);
  const types = [...root.lookup(PACKAGE).nestedArray];
  return {
    "src/grpc/generated/messages.ts": messagesFile(types),
    "src/grpc/generated/descriptor.ts": descriptorFile(root),
  };
}

function messagesFile(types) {
  const messages = types.filter((type) => type instanceof protobuf.Type);
  const enums = [
    ...types.filter((type) => type instanceof protobuf.Enum),
    ...messages.flatMap((type) => type.nestedArray.filter((nested) => nested instanceof protobuf.Enum)),
  ];
  return (
    head(
      SOURCE,
      "Messages and enums of apache.rocketmq.v2 as a decoder gives them: an absent message or optional is null.",
    ) +
    'import type { Buffer } from "node:buffer";\n\n' +
    "/** Both google.protobuf.Duration and google.protobuf.Timestamp. */\n" +
    "export interface Seconds {\n  seconds: number;\n  nanos: number;\n}\n\n" +
    enums.map((type) => `${constantObject(enumName(type), Object.entries(type.values))}\n`).join("") +
    messages.map(interfaceOf).join("\n") +
    "\n/** Every message by its name. */\nexport interface Messages {\n" +
    messages.map(({ name }) => `  ${name}: ${name};\n`).join("") +
    "}\n"
  );
}

/** Enums inside a message carry its name. */
function enumName(type) {
  return type.parent instanceof protobuf.Type ? `${type.parent.name}${type.name}` : type.name;
}

function interfaceOf(type) {
  const oneofs = type.oneofsArray
    .filter((oneof) => !oneof.isProto3Optional)
    .map((oneof) => {
      const names = oneof.fieldsArray.map((field) => JSON.stringify(field.name));
      return `  /** Which of the fields is there. */\n  readonly ${oneof.name}?: ${names.join(" | ")} | undefined;\n`;
    });
  return `export interface ${type.name} {\n${type.fieldsArray.map(member).join("")}${oneofs.join("")}}\n`;
}

function member(field) {
  return `  ${field.name}: ${typeOf(field)};\n`;
}

function typeOf(field) {
  const one = plainType(field);
  if (field.map) return `Record<string, ${one}>`;
  if (field.repeated) return `${one}[]`;
  const nullable = field.resolvedType instanceof protobuf.Type || (field.optional && field.options?.proto3_optional);
  // An absent enum reads as its first value even where it is optional.
  return nullable && !(field.resolvedType instanceof protobuf.Enum) ? `${one} | null` : one;
}

function plainType(field) {
  const resolved = field.resolvedType;
  if (resolved instanceof protobuf.Enum) return "number";
  if (resolved instanceof protobuf.Type) {
    return resolved.fullName.startsWith(".google.protobuf.") ? "Seconds" : resolved.name;
  }
  const scalar = SCALARS[field.type];
  if (scalar === undefined) throw new Error(`${field.fullName}: no TypeScript type for ${field.type}`);
  return scalar;
}

function descriptorFile(root) {
  const text = JSON.stringify(root.toJSON({ keepComments: false }), undefined, 1);
  return `${head(SOURCE, "The descriptors of apache.rocketmq.v2 as protobufjs reads them from data.")}export const DESCRIPTOR = ${text};\n`;
}
