/** Names of client versions in remarks (Apache: MQVersion.getVersionDesc). */
import { MQVersion } from "./generated/versions.ts";

const NAMES = new Map<number, string>(Object.entries(MQVersion).map(([name, ordinal]) => [ordinal, name]));
const HIGHEST = Math.max(...NAMES.keys());

/** `V5_5_0` for its ordinal; one that is not known yet is called HIGHER_VERSION, as Apache does. */
export function versionName(ordinal: number): string {
  return NAMES.get(ordinal) ?? NAMES.get(HIGHEST) ?? String(ordinal);
}
