// Reads Prometheus' text exposition format 0.0.4 strictly, as its specification says: whatever is no line of the format, a sample without its
// type, a histogram whose buckets do not add up, is an error.

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*/;
const TYPES = new Set(["counter", "gauge", "histogram", "summary", "untyped"]);
const SUFFIXES = ["_bucket", "_count", "_sum"];

/**
 * @param {string} text
 * @returns {Map<string, { type: string, help: string | undefined, samples: { name: string, labels: Record<string, string>, value: number }[] }>}
 *   families by name
 */
export function parseExposition(text) {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map();
  const helps = new Map();
  for (const [i, line] of text.slice(0, -1).split("\n").entries()) {
    try {
      if (line === "") continue;
      if (line.startsWith("# HELP ")) {
        const [, name, help] = /^# HELP (\S+) (.*)$/.exec(line) ?? fail("no HELP line");
        if (helps.has(name)) fail(`a second HELP of ${name}`);
        helps.set(name, help);
      } else if (line.startsWith("# TYPE ")) {
        const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? fail("no TYPE line");
        if (!TYPES.has(type)) fail(`the type ${type}`);
        if (families.has(name)) fail(`a second TYPE of ${name}`);
        families.set(name, { type, help: helps.get(name), samples: [] });
      } else if (!line.startsWith("#")) {
        const sample = sampleOf(line);
        familyOf(families, sample.name).samples.push(sample);
      }
    } catch (error) {
      throw new Error(`line ${i + 1}: ${error.message}: ${line}`);
    }
  }
  for (const [name, family] of families) check(name, family);
  return families;
}

function fail(message) {
  throw new Error(message);
}

function sampleOf(line) {
  const [name] = NAME.exec(line) ?? fail("no name");
  let rest = line.slice(name.length);
  const labels = {};
  if (rest.startsWith("{")) {
    rest = rest.slice(1);
    while (!rest.startsWith("}")) {
      const [label] = LABEL.exec(rest) ?? fail("no label");
      const [whole, value] =
        /^="((?:[^"\\]|\\["\\n])*)"(?:,|(?=\}))/.exec(rest.slice(label.length)) ?? fail("no label value");
      if (label in labels) fail(`the label ${label} twice`);
      labels[label] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
      rest = rest.slice(label.length + whole.length);
    }
    rest = rest.slice(1);
  }
  const [, value] = /^ (\S+)(?: -?\d+)?$/.exec(rest) ?? fail("no value");
  return { name, labels, value: numberOf(value) };
}

function numberOf(text) {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  if (text === "NaN") return Number.NaN;
  if (!/^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text)) fail(`${text} is no number`);
  return Number(text);
}

function familyOf(families, name) {
  const own = families.get(name);
  if (own !== undefined && own.type !== "histogram") return own;
  for (const suffix of SUFFIXES) {
    const family = name.endsWith(suffix) ? families.get(name.slice(0, -suffix.length)) : undefined;
    if (family?.type === "histogram" || family?.type === "summary") return family;
  }
  return fail(`${name} has no type`);
}

function check(name, { type, samples }) {
  const seen = new Set();
  for (const { name: of, labels, value } of samples) {
    const key = `${of}${seriesOf(labels)}`;
    if (seen.has(key)) fail(`${key} twice`);
    seen.add(key);
    if (type === "counter" && !(value >= 0)) fail(`${key} counts to ${value}`);
  }
  if (type !== "histogram") return;
  for (const { labels, count, buckets } of histogramsOf(samples)) {
    const values = buckets.map(([, value]) => value);
    if (buckets.at(-1)?.[0] !== "+Inf" || values.at(-1) !== count) fail(`${name}${seriesOf(labels)}: no end`);
    if (values.some((value, i) => i > 0 && value < values[i - 1])) fail(`${name}${seriesOf(labels)}: falls`);
  }
}

/** The histograms of a family: their buckets in order, as they were written. */
export function histogramsOf(samples) {
  const found = new Map();
  for (const { name, labels, value } of samples) {
    const { le, ...rest } = labels;
    const key = seriesOf(rest);
    if (!found.has(key)) found.set(key, { labels: rest, buckets: [], count: undefined, sum: undefined });
    const histogram = found.get(key);
    if (name.endsWith("_bucket")) histogram.buckets.push([le, value]);
    else histogram[name.endsWith("_count") ? "count" : "sum"] = value;
  }
  return [...found.values()];
}

/** One text for a set of labels, in whatever order they came. */
export function seriesOf(labels) {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
