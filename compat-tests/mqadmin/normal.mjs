// What may differ between two runs of the same command: addresses, times, rates, ids. Everything else must be equal.

/** @type {[RegExp, string][]} */
const ALWAYS = [
  // Where in mqadmin's code an error came up is mqadmin's affair; its type and message stay.
  [/^\s+at .*\n?/gm, ""],
  [/^\s*\.\.\. \d+ (more|common frames omitted).*\n?/gm, ""],
  // A Java exception as a remark says where it was thrown.
  [/\bjava\.lang\.\w+Exception: ([^\n]*?), [\w.$]+\([A-Za-z]+\.java:\d+\)/g, "$1"],
  [/\b(spentTimeMills)=\d+/g, "$1=<ms>"],
  [/@[0-9a-f]{6,8}\b/g, "@<hash>"],
  [/\$\$Lambda\$[\w/]+/g, "$$$$Lambda"],
  [/\b\d{4}-\d\d-\d\d[ #T]\d\d:\d\d:\d\d([,:.]\d{1,3})?/g, "<time>"],
  [/\b20\d{12,15}\b/g, "<time>"],
  [/\b1[6-9]\d{11}\b/g, "<ms>"],
  [/\b[0-9A-F]{32}\b/g, "<id>"],
  [/\b\d{1,3}(\.\d{1,3}){3}@\d+(#\d+)?/g, "<client>"],
  [/\b\d{1,3}(\.\d{1,3}){3}@[A-Za-z]\w*/g, (found) => `<client>${found.slice(found.indexOf("@"))}`],
  [/\b127\.0\.0\.1:\d+/g, "<address>"],
  [/\b\d{1,3}(\.\d{1,3}){3}:\d{4,5}\b/g, "<address>"],
  // Columns are as wide as what stands in them.
  [/[ \t]+/g, " "],
  [/ $/gm, ""],
  [/-{3,}/g, "---"],
];

/**
 * @param {string} text
 * @param {Record<string, string>} names the run's own addresses, directories and ids, and what stands for each.
 * @param {{ mask?: [RegExp, string][], sort?: boolean }} options
 */
export function normal(text, names, { mask = [], sort = false } = {}) {
  let result = text.replaceAll("\r\n", "\n");
  const known = Object.entries(names).sort(([a], [b]) => b.length - a.length);
  for (const [value, name] of known) result = result.replaceAll(value, name);
  for (const [pattern, replacement] of [...mask, ...ALWAYS]) result = result.replace(pattern, replacement);
  const lines = result.trim().split("\n");
  return (sort ? lines.sort() : lines).join("\n");
}

/** The first lines in which two texts differ, for a report. */
export function difference(apache, skylark) {
  const [a, s] = [apache.split("\n"), skylark.split("\n")];
  const missing = a.filter((line) => !s.includes(line));
  const extra = s.filter((line) => !a.includes(line));
  if (missing.length === 0 && extra.length === 0) return ["the same lines in another order"];
  return [...missing.map((line) => `apache:  ${line}`), ...extra.map((line) => `skylark: ${line}`)];
}
