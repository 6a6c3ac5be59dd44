/**
 * Numbers as Java reads them from text: Integer.valueOf, Long.valueOf and Double.valueOf accept other strings than
 * JavaScript's Number does, and compare otherwise (NaN is the greatest double, -0.0 lies below 0.0).
 */

export const INT_MAX = 0x7fffffff;
export const INT_MIN = -0x80000000;

const SIGNED_DIGITS = /^[+-]?[0-9]+$/;
const UNICODE_DIGITS = /^[+-]?\p{Nd}+$/u;
const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?$/;
const HEXADECIMAL = /^([+-])?0[xX](?:([0-9a-fA-F]+)\.?|([0-9a-fA-F]*)\.([0-9a-fA-F]+))[pP]([+-]?[0-9]+)[fFdD]?$/;
/** Digits that any double holds exactly. */
const SAFE_DIGITS = 15;
const LONG_MAX = 2n ** 63n - 1n;
const LONG_MIN = -(2n ** 63n);

/** Integer.valueOf(text); undefined where Java throws NumberFormatException. */
export function parseJavaInt(text: string): number | undefined {
  const digits = asciiDigits(text);
  if (digits === undefined) return undefined;
  const value = Number(digits);
  return value >= INT_MIN && value <= INT_MAX ? value : undefined;
}

/** Long.valueOf(text): a number as long as that is exact, else a bigint; undefined for NumberFormatException. */
export function parseJavaLong(text: string): number | bigint | undefined {
  const digits = asciiDigits(text);
  if (digits === undefined) return undefined;
  if (digits.length <= SAFE_DIGITS) return Number(digits);
  const exact = BigInt(digits.startsWith("+") ? digits.slice(1) : digits);
  if (exact < LONG_MIN || exact > LONG_MAX) return undefined;
  const value = Number(exact);
  return Number.isSafeInteger(value) ? value : exact;
}

/** Double.valueOf(text); undefined where Java throws NumberFormatException. */
export function parseJavaDouble(text: string): number | undefined {
  const trimmed = trim(text);
  if (DECIMAL.test(trimmed)) return Number(withoutSuffix(trimmed));
  switch (trimmed) {
    case "NaN":
    case "+NaN":
    case "-NaN":
      return Number.NaN;
    case "Infinity":
    case "+Infinity":
      return Number.POSITIVE_INFINITY;
    case "-Infinity":
      return Number.NEGATIVE_INFINITY;
    default:
      return hexadecimal(trimmed);
  }
}

/** Double.compare. */
export function compareDoubles(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b && a !== 0) return 0;
  if (Object.is(a, b)) return 0;
  if (Number.isNaN(a)) return 1;
  if (Number.isNaN(b)) return -1;
  return Object.is(a, -0) ? -1 : 1;
}

/** Sign and digits as Character.digit(c, 10) reads them: every script's decimal digits count. */
function asciiDigits(text: string): string | undefined {
  if (SIGNED_DIGITS.test(text)) return text;
  if (!UNICODE_DIGITS.test(text)) return undefined;
  let digits = "";
  for (const char of text) {
    // Java looks at UTF-16 units: digits beyond the BMP are two units, neither of them a digit.
    if (char.length > 1) return undefined;
    digits += char === "+" || char === "-" ? char : String(digitOf(char.charCodeAt(0)));
  }
  return digits;
}

/** Decimal digits lie in runs of ten from a script's zero on. */
function digitOf(unit: number): number {
  let before = 0;
  while (/\p{Nd}/u.test(String.fromCharCode(unit - before - 1))) before++;
  return before % 10;
}

/** String.trim: everything up to the space counts as white. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) <= 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) <= 0x20) end--;
  return text.slice(start, end);
}

function withoutSuffix(text: string): string {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0x30 && last <= 0x39 ? text : text.replace(/[fFdD]$/, "");
}

/** `0x1.8p3`: the mantissa is exact as an integer, then rounded once to the 53 bits (fewer for subnormals) of a double. */
function hexadecimal(text: string): number | undefined {
  const match = HEXADECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, before, after, power] = match;
  const fraction = after ?? "";
  const mantissa = BigInt(`0x0${whole ?? `${before}${fraction}`}`);
  const exponent = Number(power) - 4 * fraction.length;
  const value = scale(mantissa, exponent);
  return sign === "-" ? -value : value;
}

/** mantissa * 2^exponent, rounded half to even. */
function scale(mantissa: bigint, exponent: number): number {
  if (mantissa === 0n) return 0;
  const bits = mantissa.toString(2).length;
  const top = bits + exponent;
  if (top > 1024) return Number.POSITIVE_INFINITY;
  if (top < -1080) return 0;
  // The lowest bit a double of this size has: 2^-1074 at least.
  const lowest = Math.max(top - 53, -1074);
  const drop = lowest - exponent;
  if (drop <= 0) return Number(mantissa) * 2 ** Math.max(exponent, -1022) * 2 ** Math.min(0, exponent + 1022);
  const shift = BigInt(drop);
  let kept = mantissa >> shift;
  const rest = mantissa - (kept << shift);
  const half = 1n << (shift - 1n);
  if (rest > half || (rest === half && (kept & 1n) === 1n)) kept += 1n;
  // Two steps, since 2^lowest alone may be too small or the product too large for one.
  const low = Math.trunc(lowest / 2);
  return Number(kept) * 2 ** low * 2 ** (lowest - low);
}
