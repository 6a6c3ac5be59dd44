// Lets Apache 5.5.0 and Skylark read the same configuration files and compares what they print: `node compat-tests/dumper/verify-config.mjs`
// after `npm run build`. Exit code 0 equal, 1 different. Without Java or the jars it says SKIPPED, which counts as a failure when CI=true.

import { deepStrictEqual } from "node:assert";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import {
  effectiveConfig,
  formatProperties,
  loadBrokerConfig,
  loadNamesrvConfig,
  parseProperties,
} from "../../dist/config/index.js";
import { apacheJars } from "./jars.mjs";
import { withDumper } from "./java.mjs";

/** Files as operators write them; every value that both sides accept. */
const BROKER_FILES = {
  "nothing set": "",
  "broker.conf of the distribution": [
    "brokerClusterName = DefaultCluster",
    "brokerName = broker-a",
    "brokerId = 0",
    "deleteWhen = 04",
    "fileReservedTime = 48",
    "brokerRole = ASYNC_MASTER",
    "flushDiskType = ASYNC_FLUSH",
    "namesrvAddr=127.0.0.1:9876;127.0.0.1:9877",
  ].join("\n"),
  "a slave": "brokerRole=SLAVE\nbrokerId=3\nlistenPort=30911\nhaMasterAddress=127.0.0.1:10912",
  "a master that claims an id": "brokerRole=SYNC_MASTER\nbrokerId=3\nflushDiskType=SYNC_FLUSH",
  "ports, sizes and numbers": [
    "listenPort=20911",
    "haListenPort=20999",
    "mappedFileSizeCommitLog=1048576",
    "timerRocksDBRollMaxTps=12345678.5",
    "logicalDiskSpaceCleanForciblyThreshold=1",
    "timerPrecisionMs=450",
    "transactionTimeOut=+7000",
    "serverSocketRcvBufSize=65536",
  ].join("\n"),
  "keys nobody knows, and keys under their setter's name":
    "myOwnKey=some text\nauthenticationEnabled=true\nscanAvailableNameSrv=false\nmetricsExporterType=PROM",
};
const NAMESRV_FILES = {
  "nothing set": "",
  "a few keys":
    "orderMessageEnable=true\nlistenPort=19876\nkvConfigPath=/somewhere/kv.json\nenableTopicList=false\nmine=1",
};
const PROPERTIES_CASES = 3000;

/** A small generator of pseudo-random numbers in [0, 1), so that a failure repeats. */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function nastyText(random) {
  const pieces = ["a", "bc", "=", ":", " ", "\t", "\f", "\\", "\n", "\r", "\r\n", "#", "!", "\\u0041", "\\uZ", "\\\\"];
  const count = Math.floor(random() * 14);
  const text = Array.from({ length: count }, () => pieces[Math.floor(random() * pieces.length)]).join("");
  // Whether a lone backslash at the very end is an entry depends in Java on the line end before it: nothing to agree on.
  return /\\\s*$/.test(text) ? `${text}z` : text;
}

function parsedOrNull(text) {
  try {
    return Object.fromEntries([...parseProperties(text)].sort(([a], [b]) => (a < b ? -1 : 1)));
  } catch {
    return null;
  }
}

/** Apache escapes nothing when it prints, so its text is split here and not parsed. */
function printedByApache(text, except) {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith(`${except}=`));
  return lines.sort();
}

function printedHere(config, except) {
  const entries = [...effectiveConfig(config)].filter(([key]) => key !== except);
  return entries.map(([key, value]) => `${key}=${value}`).sort();
}

/** Fails with the lines that only one side has. */
function sameLines(here, apache, name) {
  const only = (lines, others) => lines.filter((line) => !others.includes(line));
  deepStrictEqual({ here: only(here, apache), apache: only(apache, here) }, { here: [], apache: [] }, name);
}

const jars = apacheJars();
if ("missing" in jars) {
  console.error(`SKIPPED: configurations were NOT compared with Apache RocketMQ 5.5.0: ${jars.missing}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
withDumper(jars.directory, (view, home) => {
  const { machine } = view("options", "");
  const file = join(home, "test.properties");
  for (const [name, text] of Object.entries(BROKER_FILES)) {
    writeFileSync(file, text);
    const { config } = loadBrokerConfig(parseProperties(text), machine);
    sameLines(printedHere(config), printedByApache(view("broker", file)), `broker: ${name}`);
    console.log(`ok broker prints the same: ${name}`);
  }
  for (const [name, text] of Object.entries(NAMESRV_FILES)) {
    writeFileSync(file, text);
    const { config } = loadNamesrvConfig(parseProperties(text), machine);
    // Apache replaces configStorePath by the path of the file that was read.
    const printed = printedByApache(view("namesrv", file), "configStorePath");
    sameLines(printedHere(config, "configStorePath"), printed, `NameServer: ${name}`);
    console.log(`ok NameServer prints the same: ${name}`);
  }
  const random = seeded(20260410);
  const texts = Array.from({ length: PROPERTIES_CASES }, () => nastyText(random));
  const written = texts.map((text) => formatProperties(new Map([[`k${text}`, text]])));
  const directory = join(dirname(home), "properties");
  mkdirSync(directory);
  [...texts, ...written].forEach((text, i) => {
    writeFileSync(join(directory, `${i}.properties`), text, "latin1");
  });
  const loaded = view("properties", directory, availableParallelism());
  texts.forEach((text, i) => {
    deepStrictEqual(parsedOrNull(text), loaded[i], `parse ${JSON.stringify(text)}`);
    deepStrictEqual({ [`k${text}`]: text }, loaded[PROPERTIES_CASES + i], `format ${JSON.stringify(text)}`);
  });
  console.log(`ok ${PROPERTIES_CASES} properties texts read and written as java.util.Properties does`);
});
