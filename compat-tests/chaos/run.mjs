// `npm run chaos [-- kill9|disk|tx|pop|timer|ha|grpc] [options]`: without a name, all of them with what each option means to them.

import { GRPC_OPTIONS, grpc } from "../grpc/chaos.mjs";
import { DISK_OPTIONS, disk } from "./disk.mjs";
import { HA_OPTIONS, ha } from "./ha.mjs";
import { KILL9_OPTIONS, kill9 } from "./kill9.mjs";
import { readOptions } from "./lib/options.mjs";
import { POP_OPTIONS, pop } from "./pop.mjs";
import { TIMER_OPTIONS, timer } from "./timer.mjs";
import { TX_OPTIONS, tx } from "./tx.mjs";

const SCRIPTS = {
  kill9: [kill9, KILL9_OPTIONS],
  disk: [disk, DISK_OPTIONS],
  tx: [tx, TX_OPTIONS],
  pop: [pop, POP_OPTIONS],
  timer: [timer, TIMER_OPTIONS],
  ha: [ha, HA_OPTIONS],
  grpc: [grpc, GRPC_OPTIONS],
};

const [first, ...rest] = process.argv.slice(2);
const named = first in SCRIPTS;
const args = named ? rest : process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
const all = named
  ? undefined
  : readOptions(
      {
        ...GRPC_OPTIONS,
        ...HA_OPTIONS,
        ...TIMER_OPTIONS,
        ...POP_OPTIONS,
        ...TX_OPTIONS,
        ...DISK_OPTIONS,
        ...KILL9_OPTIONS,
      },
      args,
    );
for (const [name, [script, defaults]] of Object.entries(SCRIPTS)) {
  if (named && name !== first) continue;
  const options = all === undefined ? readOptions(defaults, args) : { ...all, port: defaults.port };
  const counts = await script(options);
  for (const key of Object.keys(total)) total[key] += counts[key] ?? 0;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
