/** What the doctor says: what it looked at, what is wrong with it, and what to do. */

export type Severity = "ok" | "warning" | "error";

export interface Finding {
  readonly severity: Severity;
  readonly text: string;
  /** What to do; only where something is wrong. */
  readonly remedy?: string;
}

export const fine = (text: string): Finding => ({ severity: "ok", text });
export const warning = (text: string, remedy: string): Finding => ({ severity: "warning", text, remedy });
export const error = (text: string, remedy: string): Finding => ({ severity: "error", text, remedy });

const LABELS: Readonly<Record<Severity, string>> = { ok: "ok      ", warning: "WARNING ", error: "ERROR   " };
const INDENT = " ".repeat(LABELS.ok.length);

/** One finding as the terminal shows it. */
export function show({ severity, text, remedy }: Finding): string {
  const advice = remedy === undefined ? "" : `${INDENT}-> ${remedy}\n`;
  return `${LABELS[severity]}${text}\n${advice}`;
}

/** Nothing is wrong; something may be; something is. */
export const EXIT_FINE = 0;
export const EXIT_WARNINGS = 1;
export const EXIT_ERRORS = 2;

/** Exit status and last line of all findings. */
export function verdict(findings: readonly Finding[]): { status: number; text: string } {
  const count = (severity: Severity): number => findings.filter((one) => one.severity === severity).length;
  const [errors, warnings] = [count("error"), count("warning")];
  const status = errors > 0 ? EXIT_ERRORS : warnings > 0 ? EXIT_WARNINGS : EXIT_FINE;
  const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
  return { status, text: `${plural(errors, "error")}, ${plural(warnings, "warning")}, ${count("ok")} fine\n` };
}
