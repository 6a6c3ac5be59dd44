// The README's table: one row for each of mqadmin's commands.

/**
 * @param {string[]} commands all that this mqadmin has.
 * @param {{ step: { command: string }, passed: boolean, word: string, why: string }[]} verdicts
 */
export function markdown(commands, verdicts, passed, failed) {
  const rows = [...commands]
    .sort((a, b) => a.localeCompare(b))
    .map((name) => {
      const own = verdicts.filter(({ step }) => step.command.toLowerCase() === name.toLowerCase());
      const same = own.filter(({ word, passed }) => word === "same" && passed).length;
      const words = new Map();
      for (const { word, why, passed } of own) {
        if (!passed) words.set("FAILS", (words.get("FAILS") ?? 0) + 1);
        else if (word !== "same") words.set(`${word}: ${why}`, (words.get(`${word}: ${why}`) ?? 0) + 1);
      }
      const others = [...words].map(([word, count]) => `${count} ${word}`);
      return `| ${name} | ${same} of ${own.length} | ${others.join("; ")} |`;
    });
  return [
    "| command | same as Apache | otherwise |",
    "| --- | --- | --- |",
    ...rows,
    "",
    `${passed} passed, ${failed} failed.`,
  ].join("\n");
}
