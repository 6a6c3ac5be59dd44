// Calls that no client makes, and the gRPC status (or HTTP status) that must end each: load.mjs and its unit form make them.

import { codec } from "../../../dist/grpc/proto.js";

const [INTERNAL, RESOURCE_EXHAUSTED, UNIMPLEMENTED] = [13, 8, 12];

function frame(bytes, { length = bytes.length, compressed = 0 } = {}) {
  const head = Buffer.alloc(5);
  head[0] = compressed;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

const route = () => codec("QueryRouteRequest").encodeFrame({ topic: { name: "no_such_topic" } });

/** What is sent on a stream of its own: its method, bytes, headers, and the status that ends it. */
export const ODD_CALLS = [
  { what: "an unknown method", method: "Nothing", bytes: route, code: UNIMPLEMENTED },
  { what: "another content type", headers: { "content-type": "text/html" }, bytes: route, http: 415 },
  { what: "no message", bytes: () => Buffer.alloc(0), code: INTERNAL },
  { what: "half a message", bytes: () => route().subarray(0, 8), code: INTERNAL },
  { what: "two messages", bytes: () => Buffer.concat([route(), route()]), code: INTERNAL },
  { what: "bytes that are no message", bytes: () => frame(Buffer.alloc(64, 0xff)), code: INTERNAL },
  {
    what: "a length of 1 GiB",
    bytes: () => frame(Buffer.alloc(16), { length: 1 << 30 }),
    code: RESOURCE_EXHAUSTED,
  },
  {
    what: "an unknown compression",
    bytes: () => frame(Buffer.alloc(16), { compressed: 1 }),
    headers: { "grpc-encoding": "br" },
    code: UNIMPLEMENTED,
  },
  {
    what: "a compressed message that is none",
    bytes: () => frame(Buffer.alloc(16), { compressed: 1 }),
    headers: { "grpc-encoding": "gzip" },
    code: INTERNAL,
  },
  {
    what: "a Telemetry message that is none",
    method: "Telemetry",
    bytes: () => frame(Buffer.alloc(9, 0xff)),
    code: INTERNAL,
  },
];

/** Makes them all, one after the other. @param wire a Wire @returns for each its gRPC status, or what it was answered by HTTP */
export async function askOddCalls(wire) {
  const answers = [];
  for (const { method = "QueryRoute", bytes, headers = {} } of ODD_CALLS) {
    const stream = wire.open(method, { "grpc-timeout": "10S", ...headers });
    stream.resume();
    stream.end(bytes());
    const { http, code, rst } = await stream.status;
    answers.push(code ?? (http === 0 ? `RST_STREAM ${rst}` : `HTTP ${http}`));
  }
  return answers;
}

/** The same; what was not as it must be. */
export async function makeOddCalls(wire) {
  const answers = await askOddCalls(wire);
  return ODD_CALLS.flatMap(({ what, code, http }, i) => {
    const wanted = code ?? `HTTP ${http}`;
    return answers[i] === wanted ? [] : [`${what}: wanted ${wanted}, got ${answers[i]}`];
  });
}
