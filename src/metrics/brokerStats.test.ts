import { describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fakeClock.ts";
import { BrokerStats } from "./brokerStats.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

function make(enableDetailStat = true) {
  const clock = new FakeClock();
  const stats = new BrokerStats({ brokerClusterName: "C", enableDetailStat }, clock, (topic) => topic === "SYSTEM");
  stats.start();
  return { clock, stats };
}

describe("BrokerStats", () => {
  it("measures what a topic takes in by minute, hour and day, each from its own samples", async () => {
    const { clock, stats } = make();
    const puts = stats.putCounts("T", 1);
    for (let i = 0; i < 120; i++) puts.add(50, 2);
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.minute.snapshot()).toEqual({ sum: 0, tps: 0, avgpt: 0 });
    await clock.advance(10_000);
    // The first sample stands against an empty one ten seconds earlier.
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.minute.snapshot()).toEqual({ sum: 120, tps: 12, avgpt: 1 });
    expect(stats.find("TOPIC_PUT_SIZE", "T")?.minute.snapshot()).toEqual({ sum: 6000, tps: 600, avgpt: 50 });
    expect(stats.find("QUEUE_PUT_NUMS", "T@1")?.minute.snapshot().sum).toBe(120);
    expect(stats.find("QUEUE_PUT_SIZE", "T@1")?.minute.snapshot().sum).toBe(6000);
    expect(stats.putTps("T")).toBe(12);
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.hour.snapshot().sum).toBe(0);
    await clock.advance(MINUTE_MS);
    expect(stats.putTps("T")).toBe(0);
    await clock.advance(9 * MINUTE_MS);
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.hour.snapshot()).toEqual({ sum: 120, tps: 0.2, avgpt: 1 });
    await clock.advance(HOUR_MS);
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.hour.snapshot().sum).toBe(0);
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.day.snapshot().sum).toBe(120);
    await clock.advance(24 * HOUR_MS);
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.day.snapshot().sum).toBe(0);
  });

  it("measures what groups take out, per pull", async () => {
    const { clock, stats } = make();
    stats.got("g", "T", 0, 32, 6400, 0);
    stats.got("g", "T", 0, 8, 1600, 0);
    stats.got("g", "T", 3, 20, 4000, 0);
    stats.got("h", "T", 0, 1, 200, 0);
    await clock.advance(10_000);
    expect(stats.find("GROUP_GET_NUMS", "T@g")?.minute.snapshot()).toEqual({ sum: 60, tps: 6, avgpt: 20 });
    expect(stats.find("GROUP_GET_SIZE", "T@g")?.minute.snapshot().sum).toBe(12_000);
    expect(stats.find("QUEUE_GET_NUMS", "T@0@g")?.minute.snapshot().sum).toBe(40);
    expect(stats.find("QUEUE_GET_SIZE", "T@3@g")?.minute.snapshot().sum).toBe(4000);
    expect(stats.getTps("g", "T")).toBe(6);
    expect(stats.getTps("g", "U")).toBe(0);
    expect(stats.find("BROKER_GET_NUMS", "C")?.minute.snapshot()).toEqual({ sum: 61, tps: 6.1, avgpt: 0 });
  });

  it("counts pops for the group, not for a queue", () => {
    const { stats } = make();
    stats.popped("g", "T", 5, 500, 2, 0);
    stats.acked("g", "T");
    stats.got("g", "T", 0, 1, 100, 0);
    expect(stats.find("GROUP_GET_NUMS", "T@g")?.value).toBe(6);
    expect(stats.find("GROUP_GET_SIZE", "T@g")?.value).toBe(600);
    expect(stats.find("QUEUE_GET_NUMS", "T@0@g")?.value).toBe(1);
    expect(stats.find("GROUP_CK_NUMS", "T@g")?.value).toBe(2);
    expect(stats.find("GROUP_ACK_NUMS", "T@g")?.value).toBe(1);
    expect(stats.find("BROKER_ACK_NUMS", "C")?.value).toBe(1);
    expect(stats.totals.got).toBe(6);
  });

  it("counts the broker's totals with and without system topics", () => {
    const { stats } = make();
    stats.putCounts("SYSTEM", 0).add(1, 0);
    stats.putCounts("T", 0).add(1, 0);
    stats.got("g", "SYSTEM", 0, 5, 5, 0);
    stats.got("g", "T", 0, 7, 7, 0);
    expect(stats.totals).toEqual({ put: 1, got: 7 });
    expect(stats.find("BROKER_PUT_NUMS", "C")?.value).toBe(2);
    expect(stats.find("BROKER_GET_NUMS", "C")?.value).toBe(12);
  });

  it("keeps nothing per queue without enableDetailStat", () => {
    const { stats } = make(false);
    stats.putCounts("T", 0).add(1, 0);
    stats.got("g", "T", 0, 1, 1, 0);
    expect(stats.find("QUEUE_PUT_NUMS", "T@0")).toBeUndefined();
    expect(stats.find("QUEUE_GET_NUMS", "T@0@g")).toBeUndefined();
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.value).toBe(1);
  });

  it("forgets a deleted topic and a deleted group, and counts anew when they return", () => {
    const { stats } = make();
    stats.putCounts("T", 0).add(1, 0);
    stats.putCounts("TT", 0).add(1, 0);
    stats.got("g", "T", 0, 1, 1, 0);
    stats.got("h", "T", 0, 1, 1, 0);
    stats.sentBack("g", "T");
    stats.groupDeleted("g");
    expect(stats.find("GROUP_GET_NUMS", "T@g")).toBeUndefined();
    expect(stats.find("SNDBCK_PUT_NUMS", "T@g")).toBeUndefined();
    expect(stats.find("GROUP_GET_NUMS", "T@h")?.value).toBe(1);
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.value).toBe(1);
    stats.topicDeleted("T");
    expect(stats.find("TOPIC_PUT_NUMS", "T")).toBeUndefined();
    expect(stats.find("QUEUE_PUT_SIZE", "T@0")).toBeUndefined();
    expect(stats.find("GROUP_GET_NUMS", "T@h")).toBeUndefined();
    expect(stats.find("TOPIC_PUT_NUMS", "TT")?.value).toBe(1);
    stats.got("g", "T", 0, 3, 3, 0);
    expect(stats.find("GROUP_GET_NUMS", "T@g")?.value).toBe(3);
  });

  it("measures how long messages and pulls took, per queue", async () => {
    const { clock, stats } = make();
    const puts = stats.putCounts("T", 3);
    puts.add(1, 4);
    puts.add(1, 8);
    puts.add(1, -5);
    stats.got("g", "T", 3, 1, 1, 30);
    stats.got("g", "T", 3, 1, 1, 0);
    stats.popped("g", "T", 1, 1, 1, 7);
    await clock.advance(10_000);
    expect(stats.find("TOPIC_PUT_LATENCY", "3@T")?.minute.snapshot()).toEqual({ sum: 12, tps: 1.2, avgpt: 4 });
    expect(stats.find("GROUP_GET_LATENCY", "3@T@g")?.minute.snapshot()).toEqual({ sum: 30, tps: 3, avgpt: 15 });
    expect(stats.find("GROUP_GET_LATENCY", "-1@T@g")?.minute.snapshot().sum).toBe(7);
    const coarse = make(false).stats;
    coarse.got("g", "T", 3, 1, 1, 30);
    expect(coarse.find("GROUP_GET_LATENCY", "T@g")?.value).toBe(30);
    coarse.topicDeleted("T");
    expect(coarse.find("GROUP_GET_LATENCY", "T@g")).toBeUndefined();
  });

  it("counts what is given up, and forgets by topic and group wherever a key names them", () => {
    const { stats } = make();
    stats.sentToDlq(undefined, "T", "g");
    stats.sentToDlq("me", undefined, "g");
    expect(stats.find("SNDBCK2DLQ_TIMES", "null@T@g@SEND_BACK_TO_DLQ")?.value).toBe(1);
    expect(stats.find("SNDBCK2DLQ_TIMES", "me@null@g@SEND_BACK_TO_DLQ")?.value).toBe(1);
    // A topic and a group whose names are other topics' queue ids and owners.
    stats.putCounts("T", 3).add(1, 0);
    stats.got("g", "T", 3, 1, 1, 0);
    stats.topicDeleted("3");
    stats.groupDeleted("3");
    stats.topicDeleted("me");
    expect(stats.find("QUEUE_GET_NUMS", "T@3@g")).toBeDefined();
    expect(stats.find("TOPIC_PUT_LATENCY", "3@T")).toBeDefined();
    expect(stats.find("SNDBCK2DLQ_TIMES", "me@null@g@SEND_BACK_TO_DLQ")).toBeDefined();
    stats.topicDeleted("T");
    expect(stats.find("TOPIC_PUT_LATENCY", "3@T")).toBeUndefined();
    expect(stats.find("GROUP_GET_LATENCY", "3@T@g")).toBeUndefined();
    expect(stats.find("SNDBCK2DLQ_TIMES", "null@T@g@SEND_BACK_TO_DLQ")).toBeUndefined();
    stats.groupDeleted("g");
    expect(stats.find("SNDBCK2DLQ_TIMES", "me@null@g@SEND_BACK_TO_DLQ")).toBeUndefined();
  });

  it("keeps no more figures than its limit, and counts again when some are gone", () => {
    const options = { brokerClusterName: "C", enableDetailStat: false };
    // What one topic needs: its number and bytes, the broker's two, its latency.
    const stats = new BrokerStats(options, new FakeClock(), () => false, 5);
    stats.putCounts("T", 0).add(1, 0);
    const beyond = stats.putCounts("U", 0);
    beyond.add(1, 0);
    expect(stats.find("TOPIC_PUT_NUMS", "U")).toBeUndefined();
    expect(stats.find("TOPIC_PUT_NUMS", "T")?.value).toBe(1);
    expect(stats.find("BROKER_PUT_NUMS", "C")?.value).toBe(2);
    stats.topicDeleted("T");
    stats.putCounts("U", 0).add(1, 0);
    expect(stats.find("TOPIC_PUT_NUMS", "U")?.value).toBe(1);
  });

  it("leaves no timer behind", () => {
    const { clock, stats } = make();
    stats.stop();
    expect(clock.timers).toBe(0);
  });
});
