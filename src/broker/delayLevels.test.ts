import { describe, expect, it } from "vitest";
import { TRANSACTION_COMMIT, TRANSACTION_PREPARED, TRANSACTION_ROLLBACK } from "../message/sysFlag.ts";
import { DelayLevels } from "./delayLevels.ts";

const APACHE = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

function message(delay: string | undefined, sysFlag = 0) {
  const properties = new Map([["TAGS", "a"]]);
  if (delay !== undefined) properties.set("DELAY", delay);
  return { topic: "T", queueId: 3, properties, sysFlag };
}

describe("DelayLevels", () => {
  it("reads Apache's levels", () => {
    const levels = new DelayLevels(APACHE);
    expect(levels.max).toBe(18);
    expect([1, 3, 5, 17, 18].map((level) => levels.delayMs(level))).toEqual([1e3, 1e4, 6e4, 36e5, 72e5]);
    expect(levels.deliverTime(2, 1000)).toBe(6000);
    expect(levels.deliverTime(99, 0)).toBe(72e5);
    expect(new DelayLevels("2d").delayMs(1)).toBe(172_800_000);
  });

  it.each(["", "1s 5x", "1s  5s", "s", "1.5s"])("refuses %j by name of the option", (text) => {
    expect(() => new DelayLevels(text)).toThrow(/^messageDelayLevel: /);
  });

  it("moves a message with a level to the schedule topic and keeps where it wanted to go", () => {
    const m = message("3");
    m.properties.set("TIMER_DELIVER_MS", "1");
    expect(new DelayLevels(APACHE).defer(m)).toBe(true);
    expect(m).toMatchObject({ topic: "SCHEDULE_TOPIC_XXXX", queueId: 2 });
    expect([...m.properties]).toEqual([
      ["TAGS", "a"],
      ["DELAY", "3"],
      ["REAL_TOPIC", "T"],
      ["REAL_QID", "3"],
    ]);
  });

  it("makes a level above the maximum the maximum", () => {
    const m = message("19");
    new DelayLevels(APACHE).defer(m);
    expect(m.queueId).toBe(17);
    expect(m.properties.get("DELAY")).toBe("18");
  });

  it.each([undefined, "0", "-1"])("leaves a message with DELAY=%s alone", (delay) => {
    const m = message(delay);
    expect(new DelayLevels(APACHE).defer(m)).toBe(false);
    expect(m).toEqual(message(delay));
  });

  it("delays committed messages of a transaction, never half or rolled-back ones", () => {
    const levels = new DelayLevels(APACHE);
    expect(levels.defer(message("1", TRANSACTION_COMMIT))).toBe(true);
    expect(levels.defer(message("1", TRANSACTION_PREPARED))).toBe(false);
    expect(levels.defer(message("1", TRANSACTION_ROLLBACK))).toBe(false);
  });

  it("refuses a level that is no number", () => {
    expect(() => new DelayLevels(APACHE).defer(message("soon"))).toThrow('the property DELAY is "soon"');
  });
});
