// From single data points to medians, ratios, verdicts and tables, on the terminal and in README.md.
import fs from "node:fs";

const METRICS = ["perSecond", "p50Ms", "p99Ms", "cpuUs", "rssMb", "generatorShare"];
const METRIC_NAMES = {
  perSecond: "messages/s",
  p99Ms: "p99",
  cpuUs: "CPU per message",
  startMs: "start to ready",
  idleMb: "idle RSS",
};

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function medians(points, metrics) {
  return Object.fromEntries(metrics.map((metric) => [metric, median(points.map((point) => point[metric]))]));
}

/** Ratio of the medians, with the smallest and the largest ratio of a single round; null when a server has no whole run. */
function ratioOf(metric, servers, ours, theirs) {
  if (!servers.skylark || !servers.apache) return null;
  const byRound = ours.flatMap((point, round) =>
    point && theirs[round] ? [point[metric] / theirs[round][metric]] : [],
  );
  const value = servers.skylark[metric] / servers.apache[metric];
  return { value, min: Math.min(value, ...byRound), max: Math.max(value, ...byRound) };
}

/** `points`: server -> one point per round, null where the run failed. */
export function summarize(workload, points) {
  const servers = {};
  for (const [server, all] of Object.entries(points)) {
    const whole = all.filter((point) => point !== null);
    servers[server] = whole.length > 0 ? medians(whole, METRICS) : null;
  }
  const ratios = Object.fromEntries(
    METRICS.map((metric) => [metric, ratioOf(metric, servers, points.skylark, points.apache)]),
  );
  return { workload, servers, ratios };
}

export function summarizeStarts(starts) {
  return Object.entries(starts)
    .filter(([, points]) => points.length > 0)
    .map(([server, points]) => ({ server, ...medians(points, ["startMs", "idleMb"]) }));
}

const ROUNDED = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
export const number = (value) => ROUNDED.format(value);

function verdict(metric, value, { atLeast, atMost }) {
  const met = (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost);
  const bound = atLeast === undefined ? `<= ${number(atMost)}` : `>= ${number(atLeast)}`;
  return `${METRIC_NAMES[metric]} ${bound}: ${met ? "met" : "**missed**"}`;
}

export function table(header, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

function figureRows({ workload, servers }) {
  return Object.entries(servers).map(([server, figures], index) => [
    index === 0 ? workload.title : "",
    server,
    ...(figures === null
      ? ["failed", "", "", "", "", ""]
      : [
          number(figures.perSecond),
          number(figures.p50Ms),
          number(figures.p99Ms),
          number(figures.cpuUs),
          number(figures.rssMb),
          figures.generatorShare ? `${Math.round(figures.generatorShare * 100)} %` : "",
        ]),
  ]);
}

function ratioRow({ workload, ratios }) {
  const cell = (metric) => {
    const { value, min, max } = ratios[metric];
    return `${number(value)} (${number(min)}-${number(max)})`;
  };
  const goals = Object.entries(workload.goals).map(([metric, goal]) => verdict(metric, ratios[metric].value, goal));
  return [workload.title, cell("perSecond"), cell("cpuUs"), cell("p50Ms"), cell("p99Ms"), goals.join("; ")];
}

function startRow({ server, startMs, idleMb }, goals) {
  const verdicts = Object.entries(goals).map(([metric, goal]) => verdict(metric, { startMs, idleMb }[metric], goal));
  return [server, number(startMs), number(idleMb), server === "skylark" ? verdicts.join("; ") : ""];
}

export function renderResults(summaries, starts, startGoals) {
  const compared = summaries.filter(({ ratios }) => ratios.perSecond !== null);
  const parts = [
    table(
      ["workload", "server", "messages/s", "p50 ms", "p99 ms", "CPU us/message", "RSS MB", "generator's CPU share"],
      summaries.flatMap(figureRows),
    ),
  ];
  if (compared.length > 0) {
    const header = ["Skylark / Apache (smallest-largest of a round)", "messages/s", "CPU", "p50", "p99", "goals"];
    parts.push(table(header, compared.map(ratioRow)));
  }
  if (starts.length > 0) {
    parts.push(
      table(
        ["server", "start to ready ms", "idle RSS MB", "goals"],
        starts.map((start) => startRow(start, startGoals)),
      ),
    );
  }
  return parts.join("\n\n");
}

const END = "<!-- end of results -->";

/** Replaces the results part of a command in README.md and leaves the rest as it is. */
export function writeReadme(file, text, command = "npm run bench") {
  const old = fs.readFileSync(file, "utf8");
  const mark = `<!-- results: written by ${command} -->`;
  const begin = old.indexOf(mark);
  const end = old.indexOf(END, begin);
  if (begin < 0 || end < begin) throw new Error(`${file} has no place marked for results`);
  fs.writeFileSync(file, `${old.slice(0, begin + mark.length)}\n\n${text}\n\n${old.slice(end)}`);
}
