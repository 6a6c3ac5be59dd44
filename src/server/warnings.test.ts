/** A server that strangers reach and that asks nobody who he is says so at its start, once. */
import { afterEach, expect, it } from "vitest";
import { collectingLogger } from "../base/log.ts";
import { startBroker, startCluster, startNameServer, startProxy } from "../index.ts";

/** A loopback address that does not look like one, so that a test need not listen where others reach it. */
const OUTWARD = "0x7f.1";
const USERS = {
  authenticationEnabled: "true",
  authorizationEnabled: "true",
  initAuthenticationUser: '{"username":"root","password":"hush"}',
};

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

/** How often a start says it. */
async function said(start: (log: ReturnType<typeof collectingLogger>) => Promise<{ close(): Promise<void> }>) {
  let count = 0;
  const log = collectingLogger(({ level, msg }) => {
    if (level === "warn" && msg.startsWith("anybody who can reach this port")) count++;
  });
  open.push(await start(log));
  return count;
}

it("is a broker, a proxy, a NameServer, and a cluster that says it for both", async () => {
  const bind = OUTWARD;
  const namesrvAddr = "127.0.0.1:1";
  expect(await said((log) => startBroker({ log, bind, namesrvAddr }))).toBe(1);
  expect(await said((log) => startProxy({ log, bind, namesrvAddr }))).toBe(1);
  expect(await said((log) => startNameServer({ log, bind }))).toBe(1);
  expect(await said((log) => startCluster({ log, bind }))).toBe(1);
});

it("is none that asks, and none on a loopback address", async () => {
  const namesrvAddr = "127.0.0.1:1";
  expect(await said((log) => startBroker({ log, bind: OUTWARD, namesrvAddr, config: USERS }))).toBe(0);
  const { initAuthenticationUser: _, ...config } = USERS;
  expect(await said((log) => startProxy({ log, bind: OUTWARD, namesrvAddr, config }))).toBe(0);
  expect(await said((log) => startCluster({ log }))).toBe(0);
  expect(await said((log) => startNameServer({ log }))).toBe(0);
  expect(await said((log) => startProxy({ log, namesrvAddr }))).toBe(0);
});
