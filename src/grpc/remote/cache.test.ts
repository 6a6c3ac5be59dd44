import { describe, expect, it } from "vitest";
import { FakeClock } from "../../testing/fakeClock.ts";
import { RefreshingCache } from "./cache.ts";

function setUp(max = 10) {
  const clock = new FakeClock();
  const asked: string[] = [];
  let answer: () => Promise<string | undefined> = () => Promise.resolve("first");
  const cache = new RefreshingCache<string>(clock, { refreshMs: 20_000, expireMs: 300_000, max }, (key) => {
    asked.push(key);
    return answer();
  });
  return { clock, asked, cache, says: (next: typeof answer) => (answer = next) };
}

describe("a cache that refreshes itself", () => {
  it("asks once for many who wait, and answers at once while a value is young", async () => {
    const { asked, cache } = setUp();
    expect(await Promise.all([cache.get("a"), cache.get("a")])).toEqual(["first", "first"]);
    expect(cache.get("a")).toBe("first");
    expect(asked).toEqual(["a"]);
  });

  it("uses an older value and asks behind it; the next look has the new one", async () => {
    const { clock, cache, says } = setUp();
    await cache.get("a");
    says(() => Promise.resolve("second"));
    await clock.advance(20_000);
    expect(cache.get("a")).toBe("first");
    await clock.settle();
    expect(cache.get("a")).toBe("second");
  });

  it("keeps what it knows while nobody answers, until that is too old", async () => {
    const { clock, cache, says } = setUp();
    await cache.get("a");
    says(() => Promise.reject(new Error("nobody there")));
    await clock.advance(299_999);
    expect(cache.get("a")).toBe("first");
    await clock.settle();
    await clock.advance(1);
    await expect(cache.get("a")).rejects.toThrow("nobody there");
    await expect(cache.get("b")).rejects.toThrow("nobody there");
  });

  it("believes for a second that something does not exist", async () => {
    const { clock, cache, asked, says } = setUp();
    says(() => Promise.resolve(undefined));
    expect(await cache.get("a")).toBeUndefined();
    await clock.advance(999);
    expect(cache.get("a")).toBeUndefined();
    expect(asked).toHaveLength(1);
    says(() => Promise.resolve("made"));
    await clock.advance(1);
    expect(await cache.get("a")).toBe("made");
  });

  it("asks anew for what is doubted, and forgets the oldest when it is full", async () => {
    const { cache, asked, clock } = setUp(2);
    await cache.get("a");
    cache.doubt("a");
    expect(cache.get("a")).toBe("first");
    await clock.settle();
    expect(asked).toEqual(["a", "a"]);
    await cache.get("b");
    await cache.get("c");
    expect(cache.size).toBe(2);
    await cache.get("a");
    expect(asked.at(-1)).toBe("a");
  });
});
