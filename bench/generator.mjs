// The lean generator, a process of its own: node generator.mjs '<options as JSON>'.
// Prints "begin" and "end <json>" at the edges of the measured window, so that the caller can sample the server's CPU there.
// `count` instead of a window: sends that many messages and ends.
import { pollLoad, pullLoad, sendLoad } from "./lib/loads.mjs";
import { popLoad } from "./lib/pop.mjs";
import { Recorder } from "./lib/recorder.mjs";
import { secure } from "./lib/secure.mjs";
import { transactionLoad } from "./lib/transactions.mjs";

const LOADS = { send: sendLoad, pull: pullLoad, poll: pollLoad, transaction: transactionLoad, pop: popLoad };
/** Those of the 5.x protocol need the server's codecs, which remoting's do without. */
const loadOf = async (name) => LOADS[name] ?? (await import("./lib/grpcLoads.mjs"))[name];

const options = JSON.parse(process.argv[2]);
secure(options);
const recorder = new Recorder();
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const load = await (await loadOf(options.load))(recorder, options);
await sleep(options.warmup);
recorder.begin();
const cpuBefore = process.cpuUsage();
process.stdout.write("begin\n");
if (options.count) {
  while (load.acknowledged() < options.count && recorder.errors === 0) await sleep(0.02);
} else {
  await sleep(options.seconds);
}
const cpu = process.cpuUsage(cpuBefore);
process.stdout.write("measured\n");
const result = recorder.end();
await load.stop();
const generatorCpuSeconds = (cpu.user + cpu.system) / 1e6;
const { errors, firstError } = recorder;
const acknowledged = load.acknowledged();
process.stdout.write(
  `end ${JSON.stringify({ ...result, generatorCpuSeconds, acknowledged, errors, firstError })}\n`,
  () => process.exit(0),
);
