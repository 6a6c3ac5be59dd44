/** Finds the key that a mistyped one was meant to be. */

/** No option is named as long; comparing costs the product of both lengths. */
const KEY_CHARS_MAX = 100;

/**
 * The key of `keys` nearest to `key`: the same letters in another case first, then the fewest single-letter changes;
 * undefined when nothing is near enough to be a likely slip (a third of the letters).
 */
export function nearestKey(key: string, keys: Iterable<string>): string | undefined {
  if (key.length > KEY_CHARS_MAX) return undefined;
  const wanted = key.toLowerCase();
  let nearest: string | undefined;
  let fewest = Math.max(2, Math.floor(key.length / 3)) + 1;
  for (const candidate of keys) {
    const lower = candidate.toLowerCase();
    if (lower === wanted) return candidate;
    if (Math.abs(lower.length - wanted.length) >= fewest) continue;
    const distance = editDistance(wanted, lower);
    if (distance < fewest) {
      fewest = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

/** Levenshtein: insertions, deletions and replacements of one letter. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, previous[j] + 1, row[j - 1] + 1));
    }
    previous = row;
  }
  return previous[b.length];
}
