// Dumps the Apache jars afresh and compares with what proto/ holds, the .proto files included: `node compat-tests/dumper/verify.mjs`.
// Exit code 0 equal, 1 different. Without Java or the jars it says SKIPPED, which counts as a failure when CI=true.

import { deepStrictEqual } from "node:assert";
import { readFileSync } from "node:fs";
import { dump } from "./dump.mjs";
import { apacheJars } from "./jars.mjs";
import { withDumper } from "./java.mjs";
import { protoView } from "./protoView.mjs";

const jars = apacheJars();
if ("missing" in jars) {
  console.error(`SKIPPED: proto/ was NOT compared with Apache RocketMQ 5.5.0: ${jars.missing}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
for (const [name, fresh] of Object.entries(dump(jars.directory))) {
  const committed = JSON.parse(readFileSync(new URL(`../../proto/${name}`, import.meta.url), "utf8"));
  deepStrictEqual(committed, fresh, `proto/${name} differs from the jars; run: node compat-tests/dumper/dump.mjs`);
  console.log(`ok proto/${name} equals a fresh dump of Apache RocketMQ 5.5.0`);
}

const official = withDumper(jars.directory, (view) => view("grpc", ""));
for (const [kind, ours] of Object.entries(protoView())) {
  deepStrictEqual(ours, official[kind], `the ${kind} of proto/apache/rocketmq/v2 differ from rocketmq-proto`);
  console.log(`ok ${Object.keys(ours).length} ${kind} of proto/apache/rocketmq/v2 equal the official descriptors`);
}
