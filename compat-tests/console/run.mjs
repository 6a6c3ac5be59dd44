// The console in a real browser: every page shows what the broker has, a message is found and read, a dead letter given again, an option changed;
// light and dark, wide and narrow. The page may complain of nothing: no exception, no failed load, no breach of its policy.
//
//   node compat-tests/console/run.mjs [--shots DIR]
//
// Without a browser it is SKIPPED, loudly, and no failure, with CI=true neither: a browser is no client's tool chain.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { GROUP, load, TOPIC } from "../metrics/load.mjs";
import { findBrowser, Page } from "./browser.mjs";

const { values } = parseArgs({ options: { shots: { type: "string" } } });
const program = findBrowser();
if (program === undefined) {
  console.log("!!! SKIPPED console: no Chromium or Chrome (SKYLARK_BROWSER names one)");
  process.exit(0);
}
const { startCluster } = await import(fileURLToPath(new URL("../../dist/index.js", import.meta.url)));
const tempDir = mkdtempSync(join(tmpdir(), "skylark-console-"));
if (values.shots) mkdirSync(values.shots, { recursive: true });
let passed = 0;
let failed = 0;
let page;
let endLoad = () => {};
const cluster = await startCluster({ consolePort: 0 });
try {
  endLoad = await load(Number(cluster.brokerAddr.split(":").at(-1)));
  page = await Page.open(program, join(tempDir, "profile"));
  await look();
} catch (error) {
  failed++;
  console.log(`FAILED ${error.stack}`);
} finally {
  await page?.close();
  endLoad();
  await cluster.close();
  rmSync(tempDir, { recursive: true, force: true });
}
console.log(`console: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

async function look() {
  await page.look(1200, 900, "light");
  await page.go(`http://${cluster.consoleAddr}/`);
  await check("overview", /Messages per second/);
  await shot("overview-light");
  await check("brokers", new RegExp(cluster.brokerAddr));

  await page.hash("topics");
  await check("topics", new RegExp(`${TOPIC}\\s`));
  expect("system topics are left out at first", !(await text()).includes("TBW102"));
  await page.evaluate(`document.getElementById("system").click()`);
  await check("topics of the system", /TBW102/);
  await page.click(TOPIC);
  await check("one topic", /Groups that consume it[\s\S]*metered/);
  await shot("topic-light");

  await page.hash("groups");
  await check("groups", /metered\s[\s\S]*popped/);
  await page.click(GROUP);
  await check("one group", /Members[\s\S]*meter[\s\S]*Subscriptions/);
  await page.look(1200, 900, "dark");
  await shot("group-dark");
  expect(
    "dark is dark",
    (await page.evaluate(`getComputedStyle(document.body).backgroundColor`)) === "rgb(16, 21, 28)",
  );

  await page.hash(`messages/${TOPIC}`);
  await check("messages by time", /Stored\s+Id\s+Queue/);
  await page.fill("value", "no such key");
  await page.fill("by", "key");
  await page.click("Search");
  await check("a key that nobody used", /no message found/);
  await page.fill("by", "time");
  await page.click("Search");
  await check("the messages again", /Stored\s+Id\s+Queue/);
  await page.evaluate(`document.querySelector("main td a").click()`);
  await check("one message", /Properties[\s\S]*UNIQ_KEY/);
  await shot("message-dark");

  await page.hash("dlq");
  await check("dead letters", /metered\s+1/);
  await page.click("metered");
  await check("the letters of a group", /Give it to its group again/);
  await page.click("Give it to its group again");
  await check("a letter given again", new RegExp(`given once more, through %RETRY%${GROUP}`));

  await page.hash("pending");
  await check("pending", /Transactions that nobody has ended[\s\S]*Metered\s+1[\s\S]*MeteredTimers\s+1/);
  await shot("pending-dark");

  await page.hash("config");
  await check("configuration", /brokerPermission/);
  page.answer = "5000";
  await page.evaluate(
    `[...document.querySelectorAll("tr")].find((row) => row.cells[0].innerText === "slaveTimeout").querySelector("button").click()`,
  );
  await check("an option changed", /slaveTimeout is 5000/);

  await page.look(390, 800, "light");
  for (const name of ["overview", "topics", "groups", "config"]) {
    await page.hash(name);
    await check(
      `${name}, narrow`,
      { overview: /Brokers/, topics: /Metered/, groups: /popped/, config: /brokerPermission/ }[name],
    );
    const wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
    expect(`${name} is not wider than a telephone`, wider <= 0, wider);
    await shot(`${name}-narrow`);
  }
  expect("the page complains of nothing", page.complaints.length === 0, page.complaints.join("\n"));
}

function text() {
  return page.evaluate("document.body.innerText");
}

async function check(what, pattern) {
  await page.until(pattern);
  passed++;
  console.log(`  ok ${what}`);
}

function expect(what, isSo, found = "") {
  if (isSo) passed++;
  else {
    failed++;
    console.log(`FAILED ${what}: ${found}`);
  }
}

async function shot(name) {
  if (values.shots) await page.shot(join(values.shots, `${name}.png`));
}
