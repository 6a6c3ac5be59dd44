import { describe, expect, it } from "vitest";
import { cellOf, isUnproven, reasonFor, secondTry } from "./verdict.mjs";

const good = { ok: true, detail: "", ms: 5, facts: { code: "0" } };
const bad = { ok: false, detail: "wanted 1, got 2", ms: 7, facts: { code: "1" } };

describe("second tries", () => {
  const failure = { server: "skylark", client: "java-5.5.0", wavers: undefined, failedAgainstApache: false };

  it("gives the oracle one, always", () => {
    expect(secondTry({ ...failure, server: "apache" })).toMatch(/oracle/);
  });

  it("gives Skylark none when Apache passed and nothing is known", () => {
    expect(secondTry(failure)).toBeUndefined();
  });

  it("gives Skylark one when Apache failed in the same run", () => {
    expect(secondTry({ ...failure, failedAgainstApache: true })).toMatch(/same run/);
  });

  it("gives Skylark one for what is known to waver, with that client only", () => {
    const wavers = { "java-5": "the client's race, seen against Apache" };
    expect(secondTry({ ...failure, wavers })).toBe(wavers["java-5"]);
    expect(secondTry({ ...failure, wavers, client: "java-4.9.8" })).toBeUndefined();
    expect(reasonFor("all of them", "go-2.1.2")).toBe("all of them");
  });
});

describe("cells", () => {
  it("passes, fails, or is flaky, and then keeps both tries", () => {
    expect(cellOf([good]).state).toBe("passed");
    expect(cellOf([bad])).toMatchObject({ state: "failed", detail: bad.detail, facts: bad.facts });
    expect(cellOf([bad, good], "why")).toEqual({
      state: "flaky",
      ...{ ms: 5, detail: "", facts: good.facts },
      why: "why",
      tries: [bad, good],
    });
    expect(cellOf([bad, bad], "why").state).toBe("failed");
  });

  it("has no try but the first when that one stands", () => {
    expect(cellOf([bad])).not.toHaveProperty("tries");
  });
});

describe("what the oracle itself failed", () => {
  const [passed, flaky, failed] = ["passed", "flaky", "failed"].map((state) => ({ state }));

  it("is unproven when it passed with another client, and a failure when it passed with none", () => {
    expect(isUnproven(failed, [failed, flaky])).toBe(true);
    expect(isUnproven(failed, [passed])).toBe(true);
    expect(isUnproven(failed, [failed])).toBe(false);
    expect(isUnproven(failed, [])).toBe(false);
    expect(isUnproven(flaky, [passed])).toBe(false);
  });
});
