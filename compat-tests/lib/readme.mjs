// The part of a README that a run writes.

import { readFileSync, writeFileSync } from "node:fs";

const BEGIN = "<!-- table begins -->";
const END = "<!-- table ends -->";

/** Replaces what stands between the two markers of a file. Throws when it has lost them. @param {URL} file */
export function writeTable(file, table) {
  const text = readFileSync(file, "utf8");
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${file.pathname} lost its table markers`);
  writeFileSync(file, `${text.slice(0, from)}${BEGIN}\n${table}\n${text.slice(to)}`);
}
