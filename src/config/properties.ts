/**
 * The text form of java.util.Properties: broker.conf, and the bodies of getBrokerConfig and updateBrokerConfig.
 * Reading follows Properties.load to the letter, except that text is Unicode already (Java takes bytes as ISO-8859-1)
 * and that a byte order mark is skipped.
 *
 *     # comment        ! comment
 *     key=value        key: value        key value        key
 *     long = one \
 *            two                  -> "one two"; escapes \t \n \r \f \uXXXX, any other \c is c
 */

const BLANK = /[ \t\f]/;

/**
 * Keys and values in order of first appearance; of a repeated key the last value stays.
 * @throws Error on a `\u` that four hexadecimal digits do not follow, as Java does.
 */
export function parseProperties(text: string): Map<string, string> {
  const entries = new Map<string, string>();
  for (const line of logicalLines(text.replace(/^\uFEFF/, ""))) {
    const keyEnd = endOfKey(line);
    const [key, value] = [line.slice(0, keyEnd), line.slice(keyEnd)];
    entries.set(unescaped(key), unescaped(value.replace(/^[ \t\f]*[=:]?[ \t\f]*/, "")));
  }
  return entries;
}

/**
 * One `key=value` line per entry, in the order given. Plain values come out as Apache prints them (MixAll.properties2String
 * escapes nothing); what Properties.load would read differently is escaped.
 */
export function formatProperties(entries: ReadonlyMap<string, string>): string {
  let text = "";
  for (const [key, value] of entries) text += `${escaped(key).replace(/[=: #!]/g, "\\$&")}=${escapeValue(value)}\n`;
  return text;
}

/** Natural lines without comments and leading blanks, joined where the line end is escaped. */
function* logicalLines(text: string): Generator<string> {
  let joined = "";
  for (const natural of text.split(/\r\n|\n|\r/)) {
    const line = natural.replace(/^[ \t\f]+/, "");
    // What follows an escaped line end is neither comment nor blank line, unless nothing stood before that line end.
    if (joined === "" && (line === "" || line[0] === "#" || line[0] === "!")) continue;
    joined += line;
    const backslashes = /\\*$/.exec(line)?.[0].length ?? 0;
    if (backslashes % 2 === 1) {
      joined = joined.slice(0, -1);
    } else {
      yield joined;
      joined = "";
    }
  }
  if (joined !== "") yield joined;
}

/** Where the key ends: the first `=`, `:` or blank that no backslash precedes. */
function endOfKey(line: string): number {
  for (let i = 0; i < line.length; i++) {
    if (line[i] === "\\") i++;
    else if (line[i] === "=" || line[i] === ":" || BLANK.test(line[i])) return i;
  }
  return line.length;
}

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]?))/g, (_, hex: string | undefined, char: string | undefined) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    switch (char) {
      case "t":
        return "\t";
      case "n":
        return "\n";
      case "r":
        return "\r";
      case "f":
        return "\f";
      case "u":
        throw new Error("properties: \\u is not followed by four hexadecimal digits");
      default:
        return char ?? "";
    }
  });
}

function escapeValue(value: string): string {
  return escaped(value).replace(/^ /, "\\ ");
}

function escaped(text: string): string {
  return text.replace(/[\\\t\n\r\f]|[^\x20-\x7e]/g, (char) => {
    switch (char) {
      case "\\":
        return "\\\\";
      case "\t":
        return "\\t";
      case "\n":
        return "\\n";
      case "\r":
        return "\\r";
      case "\f":
        return "\\f";
      default:
        return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
    }
  });
}
