import { describe, expect, it } from "vitest";
import { clientFailure, commandFailure, describe as describeFailure } from "./failures.ts";
import { doubleText, format, hashMapText, prettyJson } from "./format.ts";
import { parseTime } from "./times.ts";

describe("texts as Java prints them", () => {
  it("fills columns", () => {
    expect(format("%-4s|%6d|%9.2f|%s%n", "ab", 12, 1.005, undefined)).toBe("ab  |    12|     1.00|null\n");
  });

  it("prints a map in the order of HashMap's buckets", () => {
    // As mqadmin 5.5.0 printed it for a message of the Java producer (its map is made for 128 entries). UNIQ_KEY and CLUSTER share a bucket.
    const names = ["KEYS", "TAGS", "UNIQ_KEY", "CLUSTER", "WAIT", "TRACE_ON", "MSG_REGION"];
    const map = new Map(names.map((name) => [name, name.toLowerCase()]));
    const order = [...hashMapText(map, 128).matchAll(/(\w+)=/g)].map(([, name]) => name);
    expect(order).toEqual(["MSG_REGION", "UNIQ_KEY", "CLUSTER", "TAGS", "KEYS", "WAIT", "TRACE_ON"]);
  });

  it("prints doubles", () => {
    expect([0, 1.5, 12_345_678].map(doubleText)).toEqual(["0.0", "1.5", "1.2345678E7"]);
  });

  it("indents JSON with tabs, integer keys bare, nothing for null", () => {
    expect(prettyJson({ b: new Map([[0, "x"]]), a: [], c: undefined, d: [{ e: 1 }] })).toBe(
      '{\n\t"a":[],\n\t"b":{\n\t\t0:"x"\n\t},\n\t"d":[\n\t\t{\n\t\t\t"e":1\n\t\t}\n\t]\n}',
    );
  });

  it("prints failures with their causes and the page that explains them", () => {
    const failure = commandFailure("TopicRouteSubCommand", clientFailure(17, "no route"));
    expect(describeFailure(failure)).toBe(
      "org.apache.rocketmq.tools.command.SubCommandException: TopicRouteSubCommand command failed\n" +
        "Caused by: org.apache.rocketmq.client.exception.MQClientException: CODE: 17  DESC: no route\n" +
        "For more information, please visit the url, https://rocketmq.apache.org/docs/bestPractice/06FAQ",
    );
  });

  it("reads times in both forms, and says what is neither", () => {
    expect(parseTime("1700000000000")).toBe(1_700_000_000_000);
    expect(parseTime("2026-11-21#20:34:17:386")).toBe(new Date(2026, 10, 21, 20, 34, 17, 386).getTime());
    expect(() => parseTime("yesterday")).toThrow(/yesterday is neither milliseconds/);
  });
});
