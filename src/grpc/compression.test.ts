/** Compressed request messages (grpc-encoding: gzip), by raw HTTP/2: no client of the tests' sends them. */
import { Buffer } from "node:buffer";
import { type ClientHttp2Session, connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningCluster, startCluster } from "../index.ts";
import { ClientType, Code, type Messages } from "./generated/messages.ts";
import { Inflater } from "./inflater.ts";
import { codec, type Init } from "./proto.ts";

const INBOUND_BYTES_MAX = 1 << 20;

let cluster: RunningCluster;
let session: ClientHttp2Session;

beforeAll(async () => {
  cluster = await startCluster({ proxyConfig: { grpcMaxInboundMessageSize: String(INBOUND_BYTES_MAX) } });
  session = connect(`http://${cluster.grpcAddr}`);
});

afterAll(async () => {
  session.destroy();
  await cluster.close();
});

interface Answer {
  /** Messages, without their heads. */
  messages: Buffer[];
  status: string | undefined;
  reason: string;
}

/** A call with these frames; the answer when it has ended. */
function call(method: string, frames: readonly Buffer[], encoding = "gzip"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/apache.rocketmq.v2.MessagingService/${method}`,
      "content-type": "application/grpc",
      "grpc-encoding": encoding,
      "x-mq-client-id": "raw",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    let trailers: Record<string, string | string[] | undefined> = {};
    stream.on("response", (headers) => {
      trailers = headers;
    });
    stream.on("trailers", (headers) => {
      trailers = headers;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => {
      const bytes = Buffer.concat(chunks);
      const messages: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const end = at + 5 + bytes.readUInt32BE(at + 1);
        messages.push(bytes.subarray(at + 5, end));
        at = end;
      }
      const { "grpc-status": status, "grpc-message": reason } = trailers;
      resolve({ messages, status: status as string | undefined, reason: String(reason ?? "") });
    });
    for (const frame of frames) stream.write(frame);
    stream.end();
  });
}

function frame(bytes: Buffer, compressed: boolean): Buffer {
  const head = Buffer.alloc(5);
  head[0] = compressed ? 1 : 0;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const plain = <K extends keyof Messages>(name: K, message: Init<Messages[K]>): Buffer =>
  codec(name).encodeFrame(message).subarray(5) as Buffer;
const route = () => plain("QueryRouteRequest", { topic: { name: "nothing" } });

describe("a compressed request", () => {
  it("is answered like any other", async () => {
    const { messages, status } = await call("QueryRoute", [frame(gzipSync(route()), true)]);
    expect(status).toBe("0");
    expect(codec("QueryRouteResponse").decode(messages[0]).status?.code).toBe(Code.TOPIC_NOT_FOUND);
  });

  it("that would grow beyond the limit is refused, as one that is no gzip or of another encoding", async () => {
    const bomb = gzipSync(Buffer.alloc(INBOUND_BYTES_MAX + 1));
    expect(bomb.length).toBeLessThan(2_000);
    const answers = await Promise.all(Array.from({ length: 50 }, () => call("QueryRoute", [frame(bomb, true)])));
    const reason = `Decompressed gRPC message exceeds maximum size ${INBOUND_BYTES_MAX} (grpcMaxInboundMessageSize)`;
    for (const answer of answers) expect(answer).toMatchObject({ status: "8", reason });
    expect((await call("QueryRoute", [frame(route(), true)])).status).toBe("13");
    const other = await call("QueryRoute", [frame(route(), true)], "snappy");
    expect(other).toMatchObject({ status: "12", reason: "grpc-encoding snappy: only gzip is known" });
    expect((await call("QueryRoute", [frame(gzipSync(route()), true)])).status).toBe("0");
  });

  it("keeps its place among the commands of a Telemetry stream", async () => {
    const settings = (topic: string) =>
      plain("TelemetryCommand", {
        settings: { clientType: ClientType.PRODUCER, publishing: { topics: [{ name: topic }] } },
      });
    const long = "T".repeat(120);
    const { messages, status } = await call("Telemetry", [
      frame(settings("first"), false),
      frame(gzipSync(settings(long)), true),
      frame(settings("last"), false),
    ]);
    expect(status).toBe("0");
    const topics = messages.map(
      (bytes) => codec("TelemetryCommand").decode(bytes).settings?.publishing?.topics[0].name,
    );
    expect(topics).toEqual(["first", long, "last"]);
  });
});

describe("the inflater", () => {
  it("works at one message at a time, and counts those that wait", async () => {
    let waiting = 0;
    const inflater = new Inflater(1 << 20, (bytes) => {
      waiting += bytes;
    });
    const bytes = gzipSync(Buffer.alloc(1 << 20, 7));
    const order: number[] = [];
    const all = Array.from({ length: 5 }, (_, i) =>
      inflater.inflate(bytes, "gzip", () => true).then(() => order.push(i)),
    );
    expect(waiting).toBe(5 * bytes.length);
    await all[0];
    expect(waiting).toBeGreaterThanOrEqual(3 * bytes.length);
    await Promise.all(all);
    expect([waiting, order]).toEqual([0, [0, 1, 2, 3, 4]]);
  });

  it("leaves out what nobody waits for any more, and refuses what is too much", async () => {
    const inflater = new Inflater(10, (bytes) => {
      if (bytes > 100) throw new Error("too much waits");
    });
    await expect(inflater.inflate(gzipSync("x"), "gzip", () => false)).rejects.toThrow("the call has ended");
    await expect(inflater.inflate(Buffer.alloc(101), "gzip", () => true)).rejects.toThrow("too much waits");
    await expect(inflater.inflate(gzipSync("x"), "gzip", () => true)).resolves.toEqual(Buffer.from("x"));
  });
});
