/**
 * Whom mqadmin and `skylark doctor` sign as: accessKey and secretKey of $ROCKETMQ_HOME/conf/tools.yml, as Apache's tools. Without the file, or
 * without both keys in it, nothing is signed, as by the official tool.
 */
import { join } from "node:path";
import { signedFields } from "../auth/signature.ts";
import { toolsCredentials } from "../auth/toolsFile.ts";
import type { Fields } from "../protocol/frameWriter.ts";

type Body = Parameters<typeof signedFields>[1];
/** Adds a signature to the fields of a request. */
export type Signer = (fields: Fields, body: Body) => Fields;

/** The signature that the text of tools.yml stands for. @throws Error with the line of what cannot be read in it */
export function signerOf(text: string | undefined): Signer | undefined {
  const credentials = text === undefined ? undefined : toolsCredentials(text);
  return credentials === undefined ? undefined : (fields, body) => signedFields(fields, body, credentials);
}

/** Where Apache's tools keep their credentials; undefined without ROCKETMQ_HOME. */
export function toolsFile({ ROCKETMQ_HOME: home }: Readonly<Record<string, string | undefined>>): string | undefined {
  return home === undefined ? undefined : join(home, "conf", "tools.yml");
}
