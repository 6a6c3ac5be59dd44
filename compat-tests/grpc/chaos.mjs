// kill -9 under 5.x clients (`npm run chaos -- grpc`): producers, consumers that receive, acknowledge most, exchange some handles and leave the
// rest, one of them with auto-renewal; the server is killed again and again. Judged as pops are (../chaos/lib/popJudge.mjs), with its canaries:
// what was acknowledged must never come again, everything else must, and not before its time.
//
//   --kills 20 --flush both|ASYNC_FLUSH|SYNC_FLUSH --seed N --server skylark|apache-local --canary resurrected|forgotten|lost|early --keep

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditLog } from "../chaos/lib/auditLog.mjs";
import { SMALL_FILES } from "../chaos/lib/load.mjs";
import { readOptions } from "../chaos/lib/options.mjs";
import { seeded } from "../chaos/lib/random.mjs";
import { eachFlush, killOptions } from "../chaos/lib/rounds.mjs";
import { conclude } from "../chaos/pop.mjs";
import { apacheLib } from "../lib/build.mjs";
import { RpcConsumer, RpcProducer } from "./lib/chaosLoad.mjs";
import { createResources } from "./lib/resources.mjs";
import { nameOf } from "./lib/scenarios.mjs";
import { makeServer } from "./lib/servers.mjs";

const KILL_MS = [500, 3_000];
/** No kill before so many acknowledgements, unless they take too long: on a busy machine a start alone takes seconds. */
const ACKS_MIN = 60;
const ACKS_WAIT_MS = 20_000;
const PRODUCERS = 2;
/** Deliveries with auto-renewal are hidden for a minute, and nobody renews them after a kill. */
const QUIET_MS = 75_000;
const RUN = "chaos";

export const GRPC_OPTIONS = killOptions({ port: 27_900 });

export const grpc = (options) => eachFlush(options, run);

async function run({ flush, kills, seed, server: kind, canary, keep, port: namesrvPort }) {
  const random = seeded(seed);
  const dir = mkdtempSync(join(tmpdir(), "skylark-grpc-chaos-"));
  console.log(`== kill -9 under 5.x clients, ${kind}, ${flush}, ${kills} kills, seed ${seed}`);
  const settings = { ...SMALL_FILES, flushConsumerOffsetInterval: 2_000, flushDiskType: flush };
  const lib = kind.includes("apache") ? apacheLib() : undefined;
  const server = makeServer(kind, { dir, namesrvPort, brokerPort: namesrvPort + 10, lib, settings });
  const log = new AuditLog(join(dir, "audit.log"));
  const [topic, group] = [nameOf(RUN, "send", "normal"), nameOf(RUN, "send", "g")].map((name) => ({ name }));
  const address = `127.0.0.1:${server.grpcPort}`;
  const common = { address, log, random, topic, group };
  const recoveries = [];
  try {
    await server.start();
    log.note(`U ${Date.now()}`);
    await createResources(server.brokerPort, RUN, ["send"]);
    const consumers = [
      new RpcConsumer({ ...common, clientId: "chaos-simple-0" }),
      new RpcConsumer({ ...common, clientId: "chaos-simple-1" }),
      new RpcConsumer({ ...common, clientId: "chaos-push", autoRenew: true, ackShare: 1, changeShare: 0.05 }),
    ];
    const acknowledged = () => consumers.reduce((sum, { acked }) => sum + acked, 0);
    // A new group begins at the end of its queues: its first receive, which finds nothing, gives it its place.
    await sleep(2_000);
    const producers = Array.from(
      { length: PRODUCERS },
      (_, number) => new RpcProducer({ number, address, log, topic, perSecond: 300 }),
    );
    for (let k = 0; k < kills; k++) {
      const before = acknowledged();
      await sleep(random.between(...KILL_MS));
      for (const end = performance.now() + ACKS_WAIT_MS; performance.now() < end; await sleep(50)) {
        if (acknowledged() - before >= ACKS_MIN) break;
      }
      await server.kill9();
      log.note(`X ${Date.now()}`);
      log.flush();
      const begin = performance.now();
      await server.start();
      recoveries.push(performance.now() - begin);
      log.note(`U ${Date.now()}`);
    }
    for (const producer of producers) await producer.finish();
    for (const consumer of consumers) await consumer.finish();
    const last = new RpcConsumer({ ...common, clientId: "chaos-last", ackShare: 1, changeShare: 0 });
    await quiet(last);
    await last.finish();
    const problems = [...producers, ...consumers, last].flatMap((each) => each.problems.slice(0, 5));
    const { code, killed } = await server.stop();
    if (kind === "skylark" && (code !== 0 || killed)) problems.push(`a SIGTERM ended the server with ${code}`);
    return conclude({ log, kills, recoveries, problems, canary, seed, dir, keep });
  } finally {
    await server.kill9();
    log.close();
  }
}

/** Until nothing came for longer than anything is hidden. */
async function quiet(consumer) {
  let before = -1;
  let since = performance.now();
  while (performance.now() - since < QUIET_MS) {
    await sleep(200);
    if (consumer.popped !== before) since = performance.now();
    before = consumer.popped;
  }
}

if (process.argv[1] === import.meta.filename) {
  const { passed, failed } = await grpc(readOptions(GRPC_OPTIONS));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
