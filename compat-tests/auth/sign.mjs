// The super user of servers that control access, how they are told of him, and how requests are signed. Needs nothing that is built: the
// benchmark uses it, too.

import { createHmac } from "node:crypto";

/** The super user of all servers. */
export const ROOT = { accessKey: "root", secretKey: "root-secret" };
/** What both kinds of brokers are configured with. */
export const SETTINGS = {
  authenticationEnabled: true,
  authorizationEnabled: true,
  authenticationMetadataProvider:
    "org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider",
  authorizationMetadataProvider: "org.apache.rocketmq.auth.authorization.provider.LocalAuthorizationMetadataProvider",
  initAuthenticationUser: JSON.stringify({ username: ROOT.accessKey, password: ROOT.secretKey }),
  innerClientAuthenticationCredentials: JSON.stringify(ROOT),
};

/** The fields of a request as AclClientRPCHook signs them. */
export function signed(ext, body, { accessKey, secretKey }) {
  const fields = { ...ext, AccessKey: accessKey };
  const hmac = createHmac("sha1", secretKey);
  hmac.update(
    Object.keys(fields)
      .sort()
      .map((name) => fields[name])
      .join(""),
  );
  if (body !== undefined) hmac.update(body);
  return { ...fields, Signature: hmac.digest("base64") };
}
