import { describe, expect, it } from "vitest";
import type { ActionSet } from "../protocol/access.ts";
import { decidingEntry, mergePolicies, policiesOf, withoutEntry } from "./policies.ts";
import { parseResource, resourceKey } from "./resources.ts";
import { ipOf, isInRange, isIpOrRange } from "./sourceIps.ts";

const PUB: ActionSet = { names: ["Pub"] };
const SUB_GET: ActionSet = { names: ["Sub", "Get"] };

/** `resource actions decision [ips]` per line, as policies of one type. */
function policies(text: string, policyType = "Custom") {
  const entries = text
    .trim()
    .split("\n")
    .map((line) => {
      const [resource, actions, decision, ips] = line.trim().split(" ");
      return {
        resource,
        actions: actions.split(","),
        decision,
        ...(ips === undefined ? {} : { sourceIps: ips.split(",") }),
      };
    });
  return policiesOf({ policies: [{ policyType, entries }] });
}

function decision(text: string, name: string, actions: ActionSet = PUB, ip = "10.1.2.3"): string | undefined {
  return decidingEntry(policies(text), "Topic", name, actions, ip)?.decision;
}

describe("resources", () => {
  it("are written and read as mqadmin does", () => {
    for (const key of ["*", "Topic:*", "Topic:a", "Topic:a*", "Group:x", "Cluster:c"]) {
      expect(resourceKey(parseResource(key) as never)).toBe(key);
    }
    expect(resourceKey(parseResource("topic:a*b*") as never)).toBe("Topic:a*");
    expect([parseResource(" "), parseResource("Queue:a"), parseResource(undefined)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("the deciding entry", () => {
  it("is the most exact one, whatever order they stand in", () => {
    const text = "* All Allow\nTopic:* All Deny\nTopic:ab* Pub Allow\nTopic:abc* Pub Deny\nTopic:abcd Pub Allow";
    for (const order of [text, text.split("\n").reverse().join("\n")]) {
      expect(["x", "ab", "abc", "abcd", "abcde"].map((name) => decision(order, name))).toEqual([
        "Deny",
        "Allow",
        "Deny",
        "Allow",
        "Deny",
      ]);
    }
  });

  it("speaks of one of the actions, or of all", () => {
    expect(decision("Topic:a Sub Allow", "a")).toBeUndefined();
    expect(decision("Topic:a Get Allow", "a", SUB_GET)).toBe("Allow");
    expect(decision("Topic:a All Allow", "a", SUB_GET)).toBe("Allow");
    // The exact entry that speaks of something else does not hide the wider one.
    expect(decision("Topic:a Sub Deny\nTopic:* Pub Allow", "a")).toBe("Allow");
  });

  it("is for where the request comes from", () => {
    expect(decision("Topic:a Pub Allow 10.0.0.0/8", "a")).toBe("Allow");
    expect(decision("Topic:a Pub Allow 11.0.0.0/8,10.1.2.3", "a")).toBe("Allow");
    expect(decision("Topic:a Pub Allow 10.1.2.4", "a")).toBeUndefined();
  });

  it("denies among equals", () => {
    const twice = "Topic:a Pub Allow\nTopic:a Pub Deny";
    for (const order of [twice, twice.split("\n").reverse().join("\n")]) expect(decision(order, "a")).toBe("Deny");
  });

  it("is a default one only where no custom one speaks", () => {
    const both = [...policies("Topic:* All Deny", "Default"), ...policies("Topic:a Pub Allow")];
    expect(decidingEntry(both, "Topic", "a", PUB, "1.1.1.1")?.decision).toBe("Allow");
    expect(decidingEntry(both, "Topic", "b", PUB, "1.1.1.1")?.decision).toBe("Deny");
  });
});

describe("policies", () => {
  it("are refused in Apache's words", () => {
    const of = (entry: object) => () => policiesOf({ policies: [{ entries: [entry] }] });
    const good = { resource: "Topic:a", actions: ["Pub"], decision: "Allow" };
    expect(() => policiesOf({ policies: [{ entries: [] }] })).toThrow("The policies is empty.");
    expect(of({ ...good, resource: "a" })).toThrow("The resource is null.");
    expect(of({ ...good, actions: ["Fly"] })).toThrow("The actions is empty.");
    expect(of({ ...good, actions: ["Any"] })).toThrow("The actions can not be Any.");
    expect(of({ ...good, sourceIps: ["host"] })).toThrow("The source ip is invalid.");
    expect(of({ ...good, decision: "Maybe" })).toThrow("The decision is null or illegal.");
  });

  it("grow by resource, and shrink", () => {
    const merged = mergePolicies(
      policies("Topic:a Pub Allow\nTopic:b Pub Allow"),
      policies("Topic:a Sub Deny\nGroup:g Sub Allow"),
    );
    expect(merged[0].entries.map(({ resource, actions }) => `${resourceKey(resource)} ${actions}`)).toEqual([
      "Topic:a Sub",
      "Topic:b Pub",
      "Group:g Sub",
    ]);
    expect(withoutEntry(policies("Topic:a Pub Allow"), "Custom", parseResource("Topic:a") as never)).toEqual([]);
  });
});

describe("source addresses", () => {
  it("are addresses and ranges of either family, and no names", () => {
    for (const good of ["1.2.3.4", "10.0.0.0/8", "::1", "fd00::/8", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"]) {
      expect([good, isIpOrRange(good)]).toEqual([good, true]);
    }
    for (const bad of ["", "host", "1.2.3", "1.2.3.256", "1.2.3.4/33", "::1/129", "1/2/3", ":::", "1.2.3.4/", "g::1"]) {
      expect([bad, isIpOrRange(bad)]).toEqual([bad, false]);
    }
  });

  it("are in a range by their bits", () => {
    expect(["10.1.255.1", "10.2.0.1"].map((ip) => isInRange(ip, "10.1.0.0/16"))).toEqual([true, false]);
    expect(["127.0.0.3", "127.0.0.4"].map((ip) => isInRange(ip, "127.0.0.1/30"))).toEqual([true, false]);
    expect(["fd12::9", "fe80::1", "1.1.1.1"].map((ip) => isInRange(ip, "fd00::/8"))).toEqual([true, false, false]);
    expect(isInRange("1.1.1.1", "0.0.0.0/0")).toBe(true);
    expect(ipOf("[::1]:80")).toBe("::1");
  });
});
