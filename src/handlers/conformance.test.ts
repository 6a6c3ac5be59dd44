/**
 * What documents say of the server, made from its tables, so that they cannot say more than it does: the conformance table of
 * the README (each request code with its state) and docs/configuration.md. `npm run conformance` writes both.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
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
import { configurationPage } from "../testing/configurationPage.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { brokerRows, type TableParts } from "./table.ts";
import { UNSUPPORTED } from "./unsupported.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const README = join(ROOT, "README.md");
const CONFIGURATION = join(ROOT, "docs", "configuration.md");
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
  const byReason = new Map<string, string[]>();
  for (const { code, name } of REQUESTS) {
    const reason = broker.has(code) || namesrv.has(code) ? undefined : refused.get(code);
    if (reason !== undefined) byReason.set(reason, [...(byReason.get(reason) ?? []), name]);
  }
  const reasons = [...byReason].map(([reason, names]) => `| ${reason} | ${names.map((n) => `\`${n}\``).join(", ")} |`);
  const answered = REQUESTS.filter(({ code }) => broker.has(code) || namesrv.has(code)).length;
  const lines = REQUESTS.map(({ code, name }) => `| ${code} | ${name} | ${state(code)} |`);
  return [
    `${REQUESTS.length} request codes of Apache 5.5.0: ${answered} answered, ${REQUESTS.length - answered} refused with their reason.`,
    "",
    "| refused because | codes |",
    "| --- | --- |",
    ...reasons,
    "",
    "<details><summary>Each code</summary>",
    "",
    "| code | name | state |",
    "| --- | --- | --- |",
    ...lines,
    "",
    "</details>",
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

it("docs/configuration.md says of every option what the tables say", () => {
  const wanted = configurationPage();
  if (process.env.UPDATE_README) writeFileSync(CONFIGURATION, wanted);
  const isNew = readFileSync(CONFIGURATION, "utf8") === wanted;
  expect(isNew, "docs/configuration.md is old: run `npm run conformance`").toBe(true);
});

it("docs/troubleshooting.md names no text that nobody says", () => {
  const page = readFileSync(join(ROOT, "docs", "troubleshooting.md"), "utf8");
  const said = sources(join(ROOT, "src")).map(joined);
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  const texts = rows
    .filter((row) => !row.includes("(the client's words)"))
    .map((row) => /^\| `(.+?)` \|/.exec(row)?.[1] ?? row);
  expect(texts.length).toBeGreaterThan(80);
  // What stands for names and numbers ("…") splits a text; all its pieces must stand in one file.
  const pieces = (text: string): string[] => text.split("…").map((piece) => piece.trim());
  const isSaid = (text: string): boolean => said.some((file) => pieces(text).every((piece) => file.includes(piece)));
  expect(isSaid("… is what nobody has ever said")).toBe(false);
  expect(texts.filter((text) => !isSaid(text))).toEqual([]);
});

it("documents link to what is there", () => {
  const pages = ["", "docs", "bench", "compat-tests", "compat-tests/chaos"].flatMap((dir) =>
    readdirSync(join(ROOT, dir))
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(dir, name)),
  );
  const lost: string[] = [];
  for (const page of pages) {
    const text = readFileSync(join(ROOT, page), "utf8");
    for (const [, to] of text.matchAll(/\]\((?!\w+:)([^)\s]+)\)/g)) {
      const [file, anchor] = to.split("#");
      const target = file === "" ? join(ROOT, page) : join(ROOT, page, "..", file);
      const there = existsSync(target) && (anchor === undefined || anchors(target).has(anchor));
      if (!there) lost.push(`${page}: ${to}`);
    }
    for (const [, path] of text.matchAll(/`((?:src|docs|compat-tests|bench|scripts)\/[\w./-]*\w)`/g)) {
      // What tests make is not there before they have run.
      if (!path.includes("/.work") && !existsSync(join(ROOT, path))) lost.push(`${page}: ${path}`);
    }
  }
  expect(pages.length).toBeGreaterThan(12);
  expect(lost).toEqual([]);
});

/** Where a page can be linked into: its headings as the usual renderers name them. */
function anchors(page: string): Set<string> {
  const headings = readFileSync(page, "utf8").matchAll(/^#+ (.+)$/gm);
  const name = (heading: string): string =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replace(/\s/g, "-");
  return new Set([...headings].map(([, heading]) => name(heading)));
}

/** The text of every product file below a directory. */
function sources(dir: string): string[] {
  return (readdirSync(dir, { recursive: true }) as string[])
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !file.startsWith("testing"))
    .map((file) => readFileSync(join(dir, file), "utf8"));
}

/** With texts that are written in parts as one, and without escapes. */
function joined(code: string): string {
  return code.replace(/["`]\s*\+\s*["`]/g, "").replaceAll('\\"', '"');
}
