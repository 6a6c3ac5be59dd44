/** A broker's parts on fakes, and a way to ask its handlers as a client would; send and pull stay out of it. */

import { silentLogger } from "../base/log.ts";
import { seededRandom } from "../base/random.ts";
import { Clients } from "../broker/clients.ts";
import { ConsumerFilters } from "../broker/consumerFilters.ts";
import { Counters } from "../broker/counters.ts";
import { Groups } from "../broker/groups.ts";
import { Offsets } from "../broker/offsets.ts";
import { QueueLocks } from "../broker/queueLocks.ts";
import { Registration } from "../broker/registration.ts";
import { Schedule } from "../broker/schedule.ts";
import { NoTimers } from "../broker/timer/timers.ts";
import { Topics } from "../broker/topics.ts";
import { loadBrokerConfig } from "../config/index.ts";
import { brokerConfigRows } from "../handlers/brokerConfig.ts";
import { brokerStatsRows } from "../handlers/brokerStats.ts";
import { cleaningRows } from "../handlers/cleaning.ts";
import { clientRows } from "../handlers/clients.ts";
import { coldDataRows } from "../handlers/coldData.ts";
import { connectionRows } from "../handlers/connections.ts";
import { consumeStatsRows } from "../handlers/consumeStats.ts";
import { dumpRows } from "../handlers/dumps.ts";
import { groupAdminRows } from "../handlers/groupAdmin.ts";
import { haRows } from "../handlers/ha.ts";
import { lockRows } from "../handlers/locks.ts";
import { messageRows } from "../handlers/messages.ts";
import { offsetRows } from "../handlers/offsets.ts";
import type { BrokerParts } from "../handlers/parts.ts";
import { queueRows } from "../handlers/queues.ts";
import { relayRows } from "../handlers/relays.ts";
import { replyRows } from "../handlers/reply.ts";
import { resetOffsetRows } from "../handlers/resetOffset.ts";
import { runtimeRows } from "../handlers/runtime.ts";
import { sendBackRows } from "../handlers/sendBack.ts";
import { topicAdminRows } from "../handlers/topicAdmin.ts";
import { BrokerStats } from "../metrics/brokerStats.ts";
import type { Reply } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { answerOf, callOf } from "./fakeCaller.ts";
import { FakeClock } from "./fakeClock.ts";
import { FakeStore } from "./fakeStore.ts";
import { MemoryDisk } from "./memoryDisk.ts";

export type Given = Parameters<typeof callOf>[2];

export interface FakeBroker extends BrokerParts {
  readonly clock: FakeClock;
  readonly store: FakeStore;
  readonly disk: MemoryDisk;
  /** Requests that went to the NameServer. */
  readonly registered: number[];
  /** Sends a request to its handler; the promise rejects where the dispatcher would answer SYSTEM_ERROR. */
  ask(name: keyof typeof RequestCode, header?: object, given?: Given): Promise<Reply>;
}

export function fakeBroker(options: Record<string, string> = {}): FakeBroker {
  const clock = new FakeClock();
  const log = silentLogger();
  const disk = new MemoryDisk();
  const store = new FakeStore(clock);
  const given = new Map(Object.entries({ brokerName: "broker-a", namesrvAddr: "127.0.0.1:9876", ...options }));
  const { config } = loadBrokerConfig(given);
  const file = (name: string) => new MetadataFile(disk, `/store/config/${name}`);
  const topics = new Topics(config, file("topics.json"), clock, log);
  const offsets = new Offsets(config, file("consumerOffset.json"), clock, log);
  const schedule = new Schedule(config, store, file("delayOffset.json"), clock, log);
  store.deliverTime = (level, time) => schedule.levels.deliverTime(level, time);
  const clients = new Clients(config, clock, log);
  const consumerFilters = new ConsumerFilters(config, file("consumerFilter.json"), clock, log);
  clients.onSubscriptions(consumerFilters);
  const registered: number[] = [];
  const registration = new Registration(
    config,
    topics,
    async (_, code) => {
      registered.push(code);
      return answerOf({});
    },
    () => "127.0.0.1:10911",
    () => "127.0.0.1:10912",
    clock,
    log,
  );
  const stats = new BrokerStats(config, clock, (topic) => topics.isSystem(topic));
  const parts: BrokerParts = {
    config,
    configFile: file("broker.conf"),
    clock,
    random: seededRandom(1),
    log,
    store,
    storeOps: {
      commitLogPath: "/store/commitlog",
      space: () => ({ totalBytes: 1000, availableBytes: 400 }),
      flushBehindBytes: () => 0,
      deleteExpired: () => 0,
    },
    counters: new Counters(clock, () => stats.totals),
    topics,
    groups: new Groups(config, file("subscriptionGroup.json"), clock, log),
    offsets,
    clients,
    consumerFilters,
    locks: new QueueLocks(clock, log),
    schedule,
    timers: new NoTimers(config, () => clock.now()),
    pops: { topicDeleted() {} },
    lites: { parentDeleted: async () => {} },
    registration,
    stats,
    memoryBytes: 1_000,
    address: () => "127.0.0.1:10911",
  };
  const rows = new Map(
    [
      clientRows,
      offsetRows,
      queueRows,
      lockRows,
      sendBackRows,
      messageRows,
      topicAdminRows,
      groupAdminRows,
      connectionRows,
      consumeStatsRows,
      resetOffsetRows,
      relayRows,
      replyRows,
      brokerConfigRows,
      runtimeRows,
      brokerStatsRows,
      cleaningRows,
      coldDataRows,
      haRows,
      dumpRows,
    ]
      .flatMap((rowsOf) => rowsOf(parts))
      .map((row) => [row.code, row]),
  );
  return {
    ...parts,
    clock,
    store,
    disk,
    registered,
    async ask(name, header = {}, given = {}) {
      const code = RequestCode[name];
      const handle = rows.get(code)?.handle;
      if (handle === undefined) throw new Error(`${name} has no handler`);
      let done = false;
      const reply = Promise.resolve()
        .then(() => handle(callOf(code, header, given)))
        .finally(() => {
          done = true;
        });
      reply.catch(() => {});
      // Handlers may wait for the end of a turn, which this clock only has when asked.
      while (!done) await clock.settle();
      return (await reply) as Reply;
    },
  };
}
