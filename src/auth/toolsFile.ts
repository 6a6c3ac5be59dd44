/**
 * conf/tools.yml: whom Apache's tools, and a proxy without credentials of its own, sign as (Apache: AclUtils.getAclRPCHook). Without both
 * keys in it nothing is signed.
 */
import type { Credentials } from "./signature.ts";
import { parseYaml, YamlError } from "./yaml.ts";

/** The credentials in the text of a tools.yml. @throws Error with the line of what cannot be read in it */
export function toolsCredentials(text: string): Credentials | undefined {
  let value: (key: string) => string;
  try {
    const { entries } = parseYaml(text);
    value = (key) => {
      const entry = entries.get(key);
      return entry?.kind === "scalar" ? entry.text.trim() : "";
    };
  } catch (error) {
    if (error instanceof YamlError) throw new Error(`tools.yml:${error.line}: ${error.message}`);
    throw error;
  }
  const [accessKey, secretKey] = [value("accessKey"), value("secretKey")];
  if (accessKey === "" || secretKey === "") return undefined;
  return { accessKey, secretKey, securityToken: undefined };
}
