// Lays JSON out for people and for diffs: whatever fits on one line stays on one line, so that a header field is one row.

const LINE_WIDTH = 180;

/** @param {unknown} value any JSON value. @returns {string} the JSON text, ending in a newline. */
export function layout(value) {
  return `${lay(value, "")}\n`;
}

function lay(value, indent) {
  const line = oneLine(value);
  if (typeof value !== "object" || value === null || indent.length + line.length <= LINE_WIDTH) return line;
  const inner = `${indent}  `;
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Array.isArray(value)
    ? value.map((item) => inner + lay(item, inner))
    : Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${lay(item, inner)}`);
  return `${open}\n${items.join(",\n")}\n${indent}${close}`;
}

function oneLine(value) {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(oneLine).join(", ")}]`;
  const items = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${oneLine(item)}`);
  return items.length === 0 ? "{}" : `{ ${items.join(", ")} }`;
}
