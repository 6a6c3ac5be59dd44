/**
 * The conformance table of the README: each request code with its state, made from the dispatch tables, so that it cannot
 * say more than the server does. `npm run conformance` writes it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/log.ts";
import { PullHolds } from "../broker/pullHolds.ts";
import { loadNamesrvConfig } from "../config/index.ts";
import { createNamesrv } from "../namesrv/namesrv.ts";
import { REQUESTS } from "../protocol/generated/requests.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { fakeBroker } from "../testing/brokerParts.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { brokerRows, type TableParts } from "./table.ts";
import { UNSUPPORTED } from "./unsupported.ts";

const README = join(import.meta.dirname, "..", "..", "README.md");
const BEGIN = "<!-- conformance: written by `npm run conformance` -->";
const END = "<!-- end of conformance -->";

function table(): string {
  const broker = new Set(
    brokerRows({ ...fakeBroker(), holds: new PullHolds(systemClock) } as unknown as TableParts).map((row) => row.code),
  );
  const namesrv = new Set(
    createNamesrv({
      clock: systemClock,
      log: silentLogger(),
      config: loadNamesrvConfig(new Map()).config,
      kvFile: new MetadataFile(new MemoryDisk(), "/kvConfig.json"),
    }).rows.map((row) => row.code),
  );
  const refused = new Map(UNSUPPORTED.map((one) => [one.code, one.reason]));
  const state = (code: number): string => {
    const where = [broker.has(code) ? "broker" : "", namesrv.has(code) ? "NameServer" : ""].filter((w) => w !== "");
    return where.length > 0 ? `answered by the ${where.join(" and the ")}` : `refused: ${refused.get(code)}`;
  };
  const answered = REQUESTS.filter(({ code }) => broker.has(code) || namesrv.has(code)).length;
  const lines = REQUESTS.map(({ code, name }) => `| ${code} | ${name} | ${state(code)} |`);
  return [
    `${REQUESTS.length} request codes of Apache 5.5.0: ${answered} answered, ${REQUESTS.length - answered} refused with their reason.`,
    "",
    "| code | name | state |",
    "| --- | --- | --- |",
    ...lines,
  ].join("\n");
}

it("prints the state of every request code as the dispatch tables have it", () => {
  const readme = readFileSync(README, "utf8");
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  expect(begin).toBeGreaterThan(0);
  expect(end).toBeGreaterThan(begin);
  const wanted = `${readme.slice(0, begin + BEGIN.length)}\n\n${table()}\n\n${readme.slice(end)}`;
  if (process.env.UPDATE_README) writeFileSync(README, wanted);
  expect(readFileSync(README, "utf8") === wanted, "README's table is old: run `npm run conformance`").toBe(true);
});
