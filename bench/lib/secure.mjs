// Whether this process signs its requests and speaks TLS: set once, before its first connection, for the rows that measure what that costs.
import { ROOT, signed } from "../../compat-tests/auth/sign.mjs";

let signs = false;
let encrypts = false;

/** @param {{ acl?: boolean, tls?: boolean }} how */
export function secure({ acl = false, tls = false }) {
  signs = acl;
  encrypts = tls;
}

export const isSigning = () => signs;
export const isEncrypting = () => encrypts;

/** The fields as they are to be sent. */
export function fieldsOf(extFields, body) {
  return signs ? signed(extFields, body.length === 0 ? undefined : body, ROOT) : extFields;
}
