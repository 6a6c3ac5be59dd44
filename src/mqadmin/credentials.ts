/**
 * Whom mqadmin signs as: accessKey and secretKey of $ROCKETMQ_HOME/conf/tools.yml (Apache: AclUtils.getAclRPCHook). Without the file, or
 * without both keys in it, nothing is signed, as by the official tool.
 */
import { type Credentials, signedFields } from "../auth/signature.ts";
import { parseYaml, YamlError } from "../auth/yaml.ts";
import type { Fields } from "../protocol/frameWriter.ts";

type Body = Parameters<typeof signedFields>[1];

/** The signature that the text of tools.yml stands for. @throws Error with the line of what cannot be read in it */
export function signerOf(text: string | undefined): ((fields: Fields, body: Body) => Fields) | undefined {
  const credentials = text === undefined ? undefined : credentialsOf(text);
  return credentials === undefined ? undefined : (fields, body) => signedFields(fields, body, credentials);
}

function credentialsOf(text: string): Credentials | undefined {
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
