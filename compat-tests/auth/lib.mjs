// Users of the suites of access control: how they sign, and how they are made.

import { createHmac } from "node:crypto";
import { RequestCode } from "../../dist/protocol/generated/requestCodes.js";

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

/** A user and his password. */
export const user = (accessKey) => ({ accessKey, secretKey: `${accessKey}-secret` });

/** Makes a user for each name, with the policy entries given, and one more that is disabled. */
export async function makeUsers(client, rights) {
  const ask = async (code, ext, body) => {
    const bytes = Buffer.from(JSON.stringify(body));
    const reply = await client.ask(code, signed(ext, bytes, ROOT), bytes);
    if (reply.code !== 0) throw new Error(`${JSON.stringify(ext)}: ${reply.code} ${reply.remark}`);
  };
  for (const username of ["powerless", "disabled", ...Object.keys(rights)]) {
    const body = {
      password: user(username).secretKey,
      userType: "Normal",
      userStatus: username === "disabled" ? "disable" : "enable",
    };
    await ask(RequestCode.AUTH_CREATE_USER, { username }, body);
  }
  for (const [username, entries] of Object.entries(rights)) {
    const subject = `User:${username}`;
    const body = { subject, policies: [{ policyType: "Custom", entries }] };
    await ask(RequestCode.AUTH_CREATE_ACL, { subject }, body);
  }
}
