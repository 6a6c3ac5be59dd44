// The table client x scenario x server, as text, as Markdown for the README and as JSON.

import { SCENARIOS } from "./scenarios.mjs";

const MARK = { passed: "ok", flaky: "ok (2nd)", failed: "FAIL", skipped: "skip" };

/** Results by `${scenario}|${client}|${server}`. */
export class Report {
  #cells = new Map();
  #skipped = [];

  constructor(clients, servers) {
    this.clients = clients;
    this.servers = servers;
  }

  set(scenario, client, server, result) {
    this.#cells.set(`${scenario}|${client}|${server}`, result);
  }

  get(scenario, client, server) {
    return this.#cells.get(`${scenario}|${client}|${server}`);
  }

  /** A whole suite that this machine cannot build or run. */
  skip(suite, reason) {
    this.#skipped.push({ suite, reason });
  }

  get skipped() {
    return this.#skipped;
  }

  get rows() {
    return Object.keys(SCENARIOS).filter((scenario) =>
      this.clients.some((client) => this.servers.some((server) => this.get(scenario, client, server))),
    );
  }

  counts() {
    const counts = { passed: 0, failed: 0, flaky: 0 };
    for (const { state } of this.#cells.values()) {
      if (state === "failed") counts.failed++;
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

  failures() {
    const lines = [];
    for (const [key, cell] of this.#cells) {
      const [scenario, client, server] = key.split("|");
      if (cell.state === "failed") lines.push(`${scenario} (${client}, ${server}): ${cell.detail}`);
      if (cell.state === "flaky") {
        lines.push(`${scenario} (${client}, ${server}): flaky, passed the second time; first: ${cell.firstDetail}`);
      }
    }
    return lines;
  }

  /** Where the two servers showed different facts (codes, remarks, properties) though both satisfied the scenario. */
  differences() {
    if (!["apache", "skylark"].every((server) => this.servers.includes(server))) return [];
    const lines = [];
    for (const scenario of this.rows) {
      for (const client of this.clients) {
        const apache = this.get(scenario, client, "apache")?.facts;
        const skylark = this.get(scenario, client, "skylark")?.facts;
        if (!apache || !skylark) continue;
        for (const key of new Set([...Object.keys(apache), ...Object.keys(skylark)])) {
          if (apache[key] === skylark[key]) continue;
          lines.push(
            `${scenario} (${client}) ${key}\n    apache:  ${apache[key] ?? "-"}\n    skylark: ${skylark[key] ?? "-"}`,
          );
        }
      }
    }
    return lines;
  }

  json() {
    const results = [...this.#cells].map(([key, cell]) => {
      const [scenario, client, server] = key.split("|");
      return { scenario, client, server, ...cell };
    });
    return { ...this.counts(), skipped: this.#skipped, results };
  }
}
