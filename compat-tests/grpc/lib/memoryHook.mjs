// Loaded into a server under load (load.mjs, by NODE_OPTIONS): at SIGUSR2 it collects its garbage and says what is left. What a process has resident
// says nothing about that: V8 collects when it likes, and malloc keeps what was freed.

import { renameSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");
const file = process.env.SKYLARK_MEMORY_FILE;
let looks = 0;

process.on("SIGUSR2", () => {
  gc();
  // What native handles held is freed behind the first one.
  setImmediate(() => {
    gc();
    const { rss, heapUsed, external } = process.memoryUsage();
    writeFileSync(`${file}.new`, JSON.stringify({ look: ++looks, rss, live: heapUsed + external }));
    renameSync(`${file}.new`, file);
  });
});
