import { describe, expect, it } from "vitest";
import { groupNameProblem, isNotAllowedToSend, topicNameProblem } from "./names.ts";

describe("names, with Apache's remarks", () => {
  it("takes what Apache takes", () => {
    for (const name of ["a", "Orders_1-2|3%", "x".repeat(127), `%RETRY%${"g".repeat(248)}`]) {
      expect(topicNameProblem(name)).toBeUndefined();
    }
    expect(groupNameProblem("g".repeat(120))).toBeUndefined();
  });

  it.each([
    ["", "The specified topic is blank."],
    ["  ", "The specified topic is blank."],
    ["a.b", "The specified topic: a.b, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"],
    ["größe", "The specified topic: größe, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"],
    ["x".repeat(128), `The specified topic: ${"x".repeat(128)}, is longer than topic max length: 127`],
    [
      `%DLQ%${"x".repeat(251)}`,
      `The specified topic is DLQ or Retry topic: %DLQ%${"x".repeat(251)}, and it's longer than topic max length: 255`,
    ],
  ])("refuses the topic %j", (name, remark) => {
    expect(topicNameProblem(name)).toBe(remark);
  });

  it("refuses groups whose retry topics would not fit", () => {
    const long = "g".repeat(121);
    expect(groupNameProblem(long)).toBe(`The specified group: ${long}, is longer than group max length: 120`);
    expect(groupNameProblem("")).toBe("The specified group is blank.");
    expect(groupNameProblem("a b")).toBe(
      "The specified group: a b, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
    );
  });

  it("lets nobody send to the schedule topic, and everybody to BenchmarkTest", () => {
    expect(isNotAllowedToSend("SCHEDULE_TOPIC_XXXX")).toBe(true);
    expect(isNotAllowedToSend("BenchmarkTest")).toBe(false);
  });
});
