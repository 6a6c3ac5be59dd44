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

const RESET = { apache: "RST_STREAM 8", because: "who is refused is told why; Apache's resets the stream (CANCEL)" };
const PARSE = {
  apache: 2,
  because:
    "gRPC's own table says INTERNAL for a request that cannot be parsed; Apache's says UNKNOWN, an exception that nobody caught",
};

/**
 * What is sent on a stream of its own: its method, bytes, headers, and the status that ends it; what Apache's proxy says where that is another, and why
 * ours differs.
 */
export const ODD_CALLS = [
  { what: "an unknown method", method: "Nothing", bytes: route, code: UNIMPLEMENTED },
  { what: "another content type", headers: { "content-type": "text/html" }, bytes: route, http: 415, code: INTERNAL },
  { what: "no message", bytes: () => Buffer.alloc(0), code: INTERNAL },
  { what: "half a message", bytes: () => route().subarray(0, 8), code: INTERNAL, ...RESET },
  { what: "two messages", bytes: () => Buffer.concat([route(), route()]), code: INTERNAL },
  { what: "bytes that are no message", bytes: () => frame(Buffer.alloc(64, 0xff)), code: INTERNAL, ...PARSE },
  {
    what: "a length of 1 GiB",
    bytes: () => frame(Buffer.alloc(16), { length: 1 << 30 }),
    code: RESOURCE_EXHAUSTED,
    ...RESET,
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
    ...RESET,
  },
  {
    what: "a Telemetry message that is none",
    method: "Telemetry",
    bytes: () => frame(Buffer.alloc(9, 0xff)),
    code: INTERNAL,
    ...PARSE,
  },
];

/** Makes them all, one after the other. @param wire a Wire @returns for each its HTTP status and gRPC status, or how its stream was reset */
export async function askOddCalls(wire) {
  const answers = [];
  for (const { method = "QueryRoute", bytes, headers = {} } of ODD_CALLS) {
    const stream = wire.open(method, { "grpc-timeout": "10S", ...headers });
    stream.resume();
    stream.end(bytes());
    const { http, code, rst } = await stream.status;
    answers.push(code === undefined ? `RST_STREAM ${rst}` : shown(http, code));
  }
  return answers;
}

const shown = (http, code) => (http === 200 ? `${code}` : `${code} HTTP ${http}`);

/** What such a call must be answered by us, and by Apache's proxy. */
export function wantedOf({ http = 200, code, apache = shown(http, code) }) {
  return { ours: shown(http, code), theirs: `${apache}` };
}

/** The same; what was not as it must be. */
export async function makeOddCalls(wire) {
  const answers = await askOddCalls(wire);
  return ODD_CALLS.flatMap((call, i) => {
    const { ours } = wantedOf(call);
    return answers[i] === ours ? [] : [`${call.what}: wanted ${ours}, got ${answers[i]}`];
  });
}
