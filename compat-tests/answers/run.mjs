// Raw requests to Apache RocketMQ 5.5.0 and to Skylark, answers compared byte for byte but for what differs from run to run.
//
//   node compat-tests/answers/run.mjs [--show]
//
// The official clients decode answers leniently; this sees what they do not.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RawClient } from "../chaos/lib/client.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLibOrLeave } from "../lib/build.mjs";
import { freePorts } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { QUESTIONS } from "./questions.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 60;
const show = process.argv.includes("--show");
const tempDir = mkdtempSync(join(tmpdir(), "skylark-answers-"));

async function answersOf(kind, port, lib) {
  const dir = join(tempDir, kind);
  mkdirSync(dir, { recursive: true });
  const { namesrvPort, brokerPort } = await freePorts(port);
  const common = { dir, namesrvPort, brokerPort, settings: {} };
  const server = kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer(common);
  await server.start();
  const client = await RawClient.open({ port: brokerPort });
  const own = [
    [`127.0.0.1:${brokerPort}`, "<broker>"],
    [`127.0.0.1:${client.socket.localPort}`, "<client>"],
    // The broker's port in a message id.
    [brokerPort.toString(16).toUpperCase().padStart(8, "0"), "<port>"],
  ];
  const answers = [];
  for (const { code, ext, body, waitMs, pick } of QUESTIONS) {
    if (waitMs !== undefined) await sleep(waitMs);
    const reply = await client.ask(code, ext, body);
    answers.push(shown(pick === undefined ? reply : { ...reply, ext: {}, body: Buffer.from(pick(reply)) }, own));
  }
  client.destroy();
  await (kind === "apache" ? server.kill9() : server.stopGracefully());
  return answers;
}

/** An answer as text, without what differs from run to run: addresses, times, durations. */
function shown({ code, remark, ext, body }, own) {
  const clean = (text) => {
    let out = own.reduce((t, [varying, name]) => t.replaceAll(varying, name), text);
    out = out.replace(/\d{4}-\d\d-\d\d#\d\d:\d\d:\d\d:\d{3}/g, "<time>").replace(/\b1[789]\d{11}\b/g, "<ms>");
    // A Java set has its own order.
    out = out.replace(/("groupList":\[)([^\]]*)/, (_, head, list) => head + list.split(",").sort().join(","));
    return out.replace(/("delayTime":)\d+/g, "$1<n>").replace(/("(?:consume|topicPut)Tps":)[\d.E-]+/g, "$1<n>");
  };
  const fields = Object.entries(ext)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(" ");
  // Records carry times and hosts; that they are the same is another suite's proof.
  const isRecords = body.length > 8 && body.readUInt32BE(0) <= body.length && body[4] === 0xda;
  return {
    code: String(code),
    remark: clean(remark ?? ""),
    fields: clean(fields),
    body: isRecords ? `<records of ${body.length} bytes>` : clean(body.toString("utf8")),
  };
}

const lib = apacheLibOrLeave("answers");
const [apache, skylark] = await Promise.all([
  answersOf("apache", BASE_PORT, lib),
  answersOf("skylark", BASE_PORT + 100),
]);
let same = 0;
let excused = 0;
let failed = 0;
QUESTIONS.forEach(({ name, differs = {} }, i) => {
  const parts = Object.keys(apache[i]).filter((part) => apache[i][part] !== skylark[i][part]);
  const wrong = parts.filter((part) => !(part in differs));
  if (show) console.log(`-- ${name}\n${JSON.stringify(skylark[i], null, 2)}`);
  for (const part of wrong) {
    console.log(`FAILED ${name}: ${part}\n  apache:  ${apache[i][part]}\n  skylark: ${skylark[i][part]}`);
  }
  if (wrong.length > 0) failed++;
  else if (parts.length > 0) excused++;
  else same++;
});
rmSync(tempDir, { recursive: true, force: true });
console.log(`answers: ${same + excused} passed, ${failed} failed; ${excused} differ for a reason given`);
process.exit(failed > 0 ? 1 : 0);
