// What is measured, and the goals of each, as ratios Skylark / Apache. A row here is a row of the results table.
// `load` rows run the lean generator, `java` rows the official Java client 5.5.0, whose own JVM needs a longer warm-up.

import { SETTINGS } from "../../compat-tests/auth/sign.mjs";

const SEND = { load: "send", connections: 4, inFlight: 64, bodyBytes: 128, binary: false };
const JAVA = { bodyBytes: 128, warmup: 6 };
const PULL = { load: "pull", connections: 2, inFlight: 8, bodyBytes: 128, backlog: 400_000 };

const ACL = { acl: true };
const ACL_TLS = { acl: true, tls: true };

/** Ratio goals: `atLeast` and `atMost` by metric. */
export const WORKLOADS = [
  {
    id: "send",
    title: "send 128 B, 4 connections x 64 in flight",
    options: SEND,
    goals: { cpuUs: { atMost: 1 / 5 }, perSecond: { atLeast: 3 } },
  },
  {
    id: "single",
    title: "send 128 B, 1 x 1",
    options: { ...SEND, connections: 1, inFlight: 1 },
    goals: { perSecond: { atLeast: 1.5 }, cpuUs: { atMost: 1 / 3 } },
  },
  {
    id: "many",
    title: "send 128 B, 64 x 4",
    options: { ...SEND, connections: 64, inFlight: 4 },
    goals: { perSecond: { atLeast: 2 } },
  },
  { id: "body1k", title: "send 1 KiB, 4 x 64", options: { ...SEND, bodyBytes: 1024 }, goals: {} },
  { id: "binary", title: "send 128 B, 4 x 64, ROCKETMQ header", options: { ...SEND, binary: true }, goals: {} },
  {
    id: "pull",
    title: "pull of 32, 2 x 8, a backlog of 400,000 (143 MB, from files)",
    options: PULL,
    goals: { cpuUs: { atMost: 2 / 5 }, perSecond: { atLeast: 1.8 } },
  },
  {
    id: "pull-tail",
    title: "pull of 32, 2 x 8, the newest 8,000 (from memory)",
    options: { ...PULL, last: 1000 },
    goals: { cpuUs: { atMost: 2 / 5 }, perSecond: { atLeast: 1.8 } },
  },
  {
    id: "transaction",
    title: "transactions of 128 B: half message and commit, 4 x 64",
    options: { ...SEND, load: "transaction" },
    goals: { cpuUs: { atMost: 1 / 2 }, perSecond: { atLeast: 1.3 } },
  },
  {
    id: "pop",
    title: "pop of 32 and its 32 acks, 2 x 8",
    options: { load: "pop", connections: 2, inFlight: 8, bodyBytes: 128, backlog: 400_000 },
    goals: { perSecond: { atLeast: 1.3 }, cpuUs: { atMost: 1 / 2 } },
  },
  {
    id: "poll",
    title: "end to end 10,000/s, long polling, lean generator",
    options: { load: "poll", rate: 10_000, bodyBytes: 128 },
    goals: { p99Ms: { atMost: 0.5 } },
  },
  {
    id: "java-e2e",
    title: "end to end 10,000/s, Java producer to push consumer",
    options: { ...JAVA, java: "e2e", rate: 10_000, n: 10_000 },
    goals: { p99Ms: { atMost: 0.5 } },
  },
  {
    id: "java-sync",
    title: "Java client, 64 threads, sync send 128 B",
    options: { ...JAVA, java: "sync", n: 64 },
    goals: { perSecond: { atLeast: 1.6 }, p99Ms: { atMost: 0.6 } },
  },
  {
    id: "java-async",
    title: "Java client, async send 128 B, 256 in flight",
    options: { ...JAVA, java: "async", n: 256 },
    goals: {},
  },
  {
    id: "sync-flush",
    title: "SYNC_FLUSH, send 128 B, 4 x 64",
    config: { flushDiskType: "SYNC_FLUSH" },
    options: SEND,
    goals: { perSecond: { atLeast: 2 } },
  },
  // What access control and TLS cost: the rows "send" and "pull" again, every request signed by a user whom the broker knows.
  {
    id: "secure-acl-send",
    title: "send 128 B, 4 x 64, ACL 2.0",
    config: SETTINGS,
    options: { ...SEND, ...ACL },
    goals: {},
  },
  {
    id: "secure-send",
    title: "send 128 B, 4 x 64, ACL 2.0 and TLS",
    config: SETTINGS,
    options: { ...SEND, ...ACL_TLS },
    goals: {},
  },
  {
    id: "secure-pull",
    title: "pull of 32, 2 x 8, the newest 8,000, ACL 2.0 and TLS",
    config: SETTINGS,
    options: { ...PULL, ...ACL_TLS, last: 1000 },
    goals: {},
  },
];

/** Start and idle memory are measured at each start with the default configuration; their goals are absolute. */
export const START_GOALS = { startMs: { atMost: 400 }, idleMb: { atMost: 90 } };

/**
 * Brings a fresh server, and above all the JVM's JIT compiler, to speed before the first measurement: without it Apache's first row shows
 * a fifth of its throughput. Fewer in flight than in a measurement, for a cold broker answers "busy" to more.
 */
export const WARM_UP = { ...SEND, inFlight: 16, count: 600_000 };

export const QUEUES = 8;
