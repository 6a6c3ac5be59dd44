// The 5.x benchmark's tables: medians of each server, and Skylark by each of Apache's two modes.
import { median, number, table } from "./report.mjs";

const METRICS = ["perSecond", "p50Ms", "p99Ms", "cpuUs", "rssMb", "generatorShare"];
const GOALS = { perSecond: { atLeast: 1.5 }, cpuUs: { atMost: 0.5 } };
const OURS = "skylark";

const medianOf = (points, metric) => (points.length === 0 ? undefined : median(points.map((point) => point[metric])));

/** @param points step -> server -> one point per round */
export function renderGrpc(steps, servers, points) {
  const figures = steps.flatMap(({ id, title }) =>
    servers.map((server, i) => {
      const cells = METRICS.map((metric) => medianOf(points[id][server], metric));
      const shown = cells.map((value, k) => {
        if (value === undefined) return k === 0 ? "failed" : "";
        return METRICS[k] === "generatorShare" ? (value > 0 ? `${Math.round(value * 100)} %` : "") : number(value);
      });
      return [i === 0 ? title : "", server, ...shown];
    }),
  );
  const head = [
    "5.x protocol",
    "server",
    "messages/s",
    "p50 ms",
    "p99 ms",
    "CPU us/message",
    "RSS MB",
    "generator's CPU share",
  ];
  const parts = [table(head, figures)];
  const others = servers.filter((server) => server !== OURS);
  if (servers.includes(OURS) && others.length > 0) {
    const rows = steps.flatMap(({ id, title }) =>
      others.map((other) => ratios(title, other, points[id][OURS], points[id][other])),
    );
    parts.push(
      table(["Skylark / Apache (smallest-largest of a round)", "messages/s", "CPU", "p50", "p99", "goals"], rows),
    );
  }
  return parts.join("\n\n");
}

function ratios(title, other, ours, theirs) {
  const values = {};
  const cell = (metric) => {
    const [a, b] = [medianOf(ours, metric), medianOf(theirs, metric)];
    if (a === undefined || b === undefined) return "";
    values[metric] = a / b;
    const each = ours.flatMap((point, round) => (theirs[round] ? [point[metric] / theirs[round][metric]] : []));
    return `${number(a / b)} (${number(Math.min(a / b, ...each))}-${number(Math.max(a / b, ...each))})`;
  };
  const cells = ["perSecond", "cpuUs", "p50Ms", "p99Ms"].map(cell);
  const { perSecond, cpuUs } = values;
  const verdict = (what, met) => `${what}: ${met ? "met" : "**missed**"}`;
  const goals =
    perSecond === undefined
      ? ""
      : [
          verdict(`messages/s >= ${GOALS.perSecond.atLeast}`, perSecond >= GOALS.perSecond.atLeast),
          verdict(`CPU <= ${GOALS.cpuUs.atMost}`, cpuUs <= GOALS.cpuUs.atMost),
        ].join("; ");
  return [`${title}, ${other}`, ...cells, goals];
}
