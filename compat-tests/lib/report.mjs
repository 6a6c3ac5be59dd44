// The table client x scenario x server, as text, as Markdown for the README and as JSON.

import { judge } from "./findings.mjs";
import { SCENARIOS } from "./scenarios.mjs";
import { isUnproven, reasonFor } from "./verdict.mjs";

const MARK = { passed: "ok", flaky: "ok (2nd)", failed: "FAIL", unproven: "unproven", skipped: "skip" };

/** Results by `${scenario}|${client}|${server}`; see verdict.mjs for what a cell is. */
export class Report {
  #cells = new Map();
  #skipped = [];
  #problems = [];

  constructor(clients, servers) {
    this.clients = clients;
    this.servers = servers;
  }

  set(scenario, client, server, result) {
    this.#cells.set(`${scenario}|${client}|${server}`, result);
  }

  /** Marks what the oracle failed by wavering; call when all cells are set. */
  settle() {
    for (const [key, cell] of this.#cells) {
      const [scenario, client, server] = key.split("|");
      if (server !== "apache") continue;
      const others = this.clients
        .filter((other) => other !== client)
        .map((other) => this.get(scenario, other, "apache"))
        .filter((other) => other !== undefined);
      if (isUnproven(cell, others)) cell.state = "unproven";
    }
  }

  /** A scenario that ran many times: failed when one run did. */
  setRepeated(scenario, client, server, tries) {
    const failed = tries.filter(({ ok }) => !ok);
    const ms = Math.max(...tries.map((one) => one.ms));
    const seen = [...new Set(failed.map((one) => one.detail))].join("; ");
    const detail = failed.length === 0 ? "" : `${failed.length} of ${tries.length} failed: ${seen}`;
    const state = failed.length === 0 ? "passed" : "failed";
    this.set(scenario, client, server, { state, ms, detail, facts: tries[0].facts, tries });
  }

  get(scenario, client, server) {
    return this.#cells.get(`${scenario}|${client}|${server}`);
  }

  /** A whole suite that this machine cannot build or run. */
  skip(suite, reason) {
    this.#skipped.push({ suite, reason });
  }

  /** Something that failed beside the scenarios, such as a server that did not stop. Counts as a failure. */
  problem(text) {
    this.#problems.push(text);
  }

  get skipped() {
    return this.#skipped;
  }

  /** Prints how a suite went, as soon as it is over. */
  progress({ who, outcomes, seconds }) {
    const all = [...outcomes].flatMap(([name, list]) => list.map((one) => ({ name, ...one })));
    const failed = all.filter(({ ok }) => !ok);
    console.log(`${who}: ${all.length - failed.length} passed, ${failed.length} failed, ${seconds.toFixed(1)} s`);
    for (const { name, detail } of failed) console.log(`  ${name}: ${detail}`);
  }

  get rows() {
    return Object.keys(SCENARIOS).filter((scenario) =>
      this.clients.some((client) => this.servers.some((server) => this.get(scenario, client, server))),
    );
  }

  counts() {
    const counts = { passed: 0, failed: this.#problems.length, flaky: 0, unproven: 0 };
    for (const { state } of this.#cells.values()) {
      if (state === "unproven") counts.unproven++;
      else if (state === "failed") counts.failed++;
      else counts.passed++;
      if (state === "flaky") counts.flaky++;
    }
    return counts;
  }

  #columns() {
    return this.clients.flatMap((client) => this.servers.map((server) => ({ client, server })));
  }

  text() {
    const columns = this.#columns();
    const width = Math.max(10, ...this.rows.map((row) => row.length));
    const heads = columns.map(({ client, server }) => `${client} ${server}`);
    const lines = [`${"scenario".padEnd(width)}  ${heads.join("  ")}`];
    for (const row of this.rows) {
      const cells = columns.map(({ client, server }, i) => {
        const cell = this.get(row, client, server);
        return (cell ? `${MARK[cell.state]} ${(cell.ms / 1000).toFixed(1)}s` : "-").padEnd(heads[i].length);
      });
      lines.push(`${row.padEnd(width)}  ${cells.join("  ")}`);
    }
    return lines.join("\n");
  }

  markdown() {
    const columns = this.#columns();
    const head = columns.map(({ client, server }) => `${client}<br>${server}`);
    const lines = [
      `| scenario | what it shows | ${head.join(" | ")} |`,
      `| --- | --- |${" --- |".repeat(columns.length)}`,
    ];
    for (const row of this.rows) {
      const cells = columns.map(({ client, server }) => {
        const cell = this.get(row, client, server);
        return cell ? MARK[cell.state] : "";
      });
      lines.push(`| ${row} | ${SCENARIOS[row].about} | ${cells.join(" | ")} |`);
    }
    return lines.join("\n");
  }

  /** A line for each failed or flaky cell and each problem. */
  failures() {
    const lines = this.#problems.map((problem) => `FAILED ${problem}`);
    for (const [key, { state, detail, why, tries }] of this.#cells) {
      const [scenario, client, server] = key.split("|");
      const name = `${scenario} (${client}, ${server})`;
      if (state === "failed") {
        const again = why === undefined ? "" : ` (twice; first: ${tries[0].detail})`;
        lines.push(`FAILED ${name}: ${detail}${again}`);
      }
      if (state === "unproven")
        lines.push(
          `UNPROVEN ${name}: the oracle failed it twice (${tries[0].detail}; ${detail}), though it passes with another client`,
        );
      if (state === "flaky")
        lines.push(`FLAKY ${name}: ${tries[0].detail}; passed the second time, tried because ${why}`);
    }
    return lines;
  }

  /**
   * Where the two servers showed different facts (codes, remarks, properties), each with the clients that saw it and what to think of it; what
   * nobody has judged comes first. A fact that either server showed in one of its tries counts as shown.
   */
  differences() {
    if (!["apache", "skylark"].every((server) => this.servers.includes(server))) return [];
    const found = new Map();
    for (const scenario of this.rows) {
      for (const client of this.clients) {
        const [apache, skylark] = ["apache", "skylark"].map((server) => this.get(scenario, client, server));
        // A scenario that failed stopped before its last facts.
        if (
          !apache ||
          !skylark ||
          (apache.state !== "passed" && apache.state !== "flaky") ||
          skylark.state === "failed"
        )
          continue;
        for (const fact of new Set([...Object.keys(apache.facts), ...Object.keys(skylark.facts)])) {
          const pair = { apache: apache.facts[fact], skylark: skylark.facts[fact] };
          if (pair.apache === pair.skylark || shownInAnyTry(apache, fact, pair.skylark)) continue;
          const key = JSON.stringify([scenario, fact, pair.apache, pair.skylark]);
          if (!found.has(key))
            found.set(key, { scenario, fact, clients: [], ...pair, ...judge({ scenario, fact, ...pair }) });
          found.get(key).clients.push(client);
        }
      }
    }
    return [...found.values()].sort((a, b) => Number(a.judged) - Number(b.judged));
  }

  /** The differences as lines for a terminal. */
  differenceLines() {
    return this.differences().map(
      ({ scenario, fact, clients, apache, skylark, why }) =>
        `${scenario} (${clients.join(", ")}) ${fact}: ${why}\n    apache:  ${apache ?? "-"}\n    skylark: ${skylark ?? "-"}`,
    );
  }

  /** All that is worth knowing beside the table, most serious first. */
  findings() {
    const lines = [];
    const named = (state) =>
      [...this.#cells].filter(([, cell]) => cell.state === state).map(([key, cell]) => [...key.split("|"), cell]);
    const passes = (scenario, client, server) =>
      ["passed", "flaky"].includes(this.get(scenario, client, server)?.state);
    const failed = named("failed");
    const ours = failed.filter(
      ([scenario, client, server]) => server === "skylark" && passes(scenario, client, "apache"),
    );
    for (const problem of this.#problems) lines.push(`**Failed**: ${problem}`);
    for (const [scenario, client, , { detail }] of ours)
      lines.push(`**Skylark fails where Apache passes**: ${scenario} (${client}): ${detail}`);
    for (const cell of failed) {
      if (ours.includes(cell)) continue;
      const [scenario, client, server, { detail }] = cell;
      lines.push(`**Failed against ${server}**: ${scenario} (${client}): ${detail}`);
    }
    for (const [scenario, client, , { detail }] of named("unproven"))
      lines.push(`**Unproven, the oracle failed it twice**: ${scenario} (${client}): ${detail}`);
    const differences = this.differences();
    const line = ({ scenario, fact, clients, apache, skylark, why }) =>
      `${scenario}, ${fact} (${clients.join(", ")}): ${why}. Apache \`${code(apache)}\`, Skylark \`${code(skylark)}\``;
    for (const one of differences.filter(({ judged }) => !judged))
      lines.push(`**Differs, not judged yet**: ${line(one)}`);
    for (const [scenario, client, server, { why, tries }] of named("flaky")) {
      lines.push(
        `Passed the second time: ${scenario} (${client}, ${server}): ${tries[0].detail}. Tried again because ${why}`,
      );
    }
    for (const one of differences.filter(({ judged }) => judged)) lines.push(`Differs on purpose: ${line(one)}`);
    for (const client of this.clients) {
      for (const scenario of this.rows) {
        const why = reasonFor(SCENARIOS[scenario].without, client);
        if (why !== undefined) lines.push(`Not run: ${scenario} (${client}): ${why}`);
      }
    }
    return lines;
  }

  json() {
    const results = [...this.#cells].map(([key, cell]) => {
      const [scenario, client, server] = key.split("|");
      return { scenario, client, server, ...cell };
    });
    return { ...this.counts(), skipped: this.#skipped, problems: this.#problems, results };
  }
}

function shownInAnyTry(cell, fact, value) {
  return (cell.tries ?? []).some(({ facts }) => facts[fact] === value);
}

/** A fact as inline code of a Markdown list: on one line, not endless. */
function code(text = "-") {
  const line = text.replaceAll(/\s+/g, " ").replaceAll("`", "'");
  return line.length > 300 ? `${line.slice(0, 300)}...` : line;
}
