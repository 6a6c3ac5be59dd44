// Command line options of the scripts: `--name value` and `--name` alone.

/** @param {Record<string, string | number | boolean>} defaults names, and the type of each */
export function readOptions(defaults, argv = process.argv.slice(2)) {
  const options = { ...defaults };
  for (let i = 0; i < argv.length; i++) {
    const name = argv[i].replace(/^--/, "").replace(/-([a-z])/g, (_, c) => c.toUpperCase());
    if (!argv[i].startsWith("--") || !(name in defaults)) {
      const known = Object.keys(defaults).map((key) => `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`);
      throw new Error(`unknown option ${argv[i]}; known: ${known.join(" ")}`);
    }
    const kind = typeof defaults[name];
    if (kind === "boolean") options[name] = true;
    else {
      const value = argv[++i];
      if (value === undefined || (kind === "number" && !Number.isFinite(Number(value)))) {
        throw new Error(`option --${name} needs a ${kind}`);
      }
      options[name] = kind === "number" ? Number(value) : value;
    }
  }
  return options;
}

export function newSeed() {
  return (Date.now() ^ (process.pid << 8)) >>> 0;
}

export function percentile(values, share) {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
