// A relay between 5.x clients and a server that notes when each call came, when its first answer came and when it ended: whose a wait is.
// Clients stay on it where the server tells them the port that they named (useEndpointPortFromRequest).

import { connect, constants, createServer } from "node:http2";

const { HTTP2_HEADER_PATH, NGHTTP2_CANCEL } = constants;

export class Tap {
  /** In the order in which they came: whose, which, and times as performance.now() tells them, undefined until they are known. */
  calls = [];
  #server;
  #sessions = new Set();

  /** @param address the server's, HOST:PORT @param port its own, on loopback */
  static open(address, port) {
    const tap = new Tap();
    tap.#server = createServer({ settings: { enablePush: false } });
    tap.#server.on("session", (session) => tap.#relay(session, address));
    tap.#server.on("sessionError", () => {});
    return new Promise((resolve, reject) => {
      tap.#server.once("error", reject);
      tap.#server.listen(port, "127.0.0.1", () => resolve(tap));
    });
  }

  async close() {
    for (const session of this.#sessions) session.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #relay(client, address) {
    const server = connect(`http://${address}`, { settings: { enablePush: false } });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ]) {
      this.#sessions.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        this.#sessions.delete(one);
        other.destroy();
      });
    }
    client.on("stream", (stream, headers) => this.#call(stream, server, headers));
  }

  #call(stream, server, headers) {
    const [clientId, method] = [headers["x-mq-client-id"], headers[HTTP2_HEADER_PATH].split("/").at(-1)];
    const call = { clientId, method, came: performance.now(), answered: undefined, ended: undefined };
    this.calls.push(call);
    const upstream = server.request(headers, { endStream: false });
    for (const one of [stream, upstream]) one.on("error", () => {});
    stream.on("close", () => upstream.close(NGHTTP2_CANCEL));
    let trailers = {};
    upstream.on("response", (answer, flags) => {
      if (stream.destroyed) return;
      const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(answer, { endStream: ended, waitForTrailers: !ended });
      if (ended) call.ended = performance.now();
      else upstream.pipe(stream);
    });
    upstream.once("data", () => {
      call.answered = performance.now();
    });
    upstream.on("trailers", (last) => {
      call.ended = performance.now();
      trailers = last;
    });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.pipe(upstream);
  }
}
