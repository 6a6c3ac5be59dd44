/**
 * The options of access control, read once and checked (Apache: AuthConfig). Their values hold secrets, so no message here quotes
 * one. Apache's names of its own classes are taken for what they do; classes of one's own cannot be loaded by this server.
 */
import { type BrokerConfig, ConfigError } from "../config/index.ts";
import { type Bean, BodyError, readBean } from "../protocol/bodies/reader.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import type { Credentials } from "./signature.ts";

export interface AuthSettings {
  readonly authentication: boolean;
  readonly authorization: boolean;
  /** Users can be made and listed: access control is on, or will be. */
  readonly configured: boolean;
  /** Request codes and gRPC methods that need no signature. */
  readonly authenticationWhitelist: ReadonlySet<string>;
  /** Request codes and gRPC methods that anybody with a signature may use. */
  readonly authorizationWhitelist: ReadonlySet<string>;
  /** The super user to make where there is none of that name. */
  readonly initialUser: { username: string; password: string } | undefined;
  /** What this server's own requests are signed with. */
  readonly credentials: Credentials | undefined;
  /** Accounts and permissions stand in the files of ACL 1.0. */
  readonly plain: boolean;
  /** Those are to become users and rights at the start. */
  readonly migrate: boolean;
}

const PACKAGE = "org.apache.rocketmq.auth";
const CLASSES: Readonly<Record<string, readonly string[]>> = {
  authenticationProvider: [`${PACKAGE}.authentication.provider.DefaultAuthenticationProvider`],
  authenticationMetadataProvider: [
    `${PACKAGE}.authentication.provider.LocalAuthenticationMetadataProvider`,
    "org.apache.rocketmq.proxy.auth.ProxyAuthenticationMetadataProvider",
  ],
  authenticationStrategy: [
    `${PACKAGE}.authentication.strategy.StatelessAuthenticationStrategy`,
    `${PACKAGE}.authentication.strategy.StatefulAuthenticationStrategy`,
  ],
  authorizationProvider: [`${PACKAGE}.authorization.provider.DefaultAuthorizationProvider`],
  authorizationMetadataProvider: [
    `${PACKAGE}.authorization.provider.LocalAuthorizationMetadataProvider`,
    "org.apache.rocketmq.proxy.auth.ProxyAuthorizationMetadataProvider",
  ],
  authorizationStrategy: [
    `${PACKAGE}.authorization.strategy.StatelessAuthorizationStrategy`,
    `${PACKAGE}.authorization.strategy.StatefulAuthorizationStrategy`,
  ],
};

export type AuthOptions = Pick<
  BrokerConfig,
  | "authenticationEnabled"
  | "authorizationEnabled"
  | "authenticationWhitelist"
  | "authorizationWhitelist"
  | "initAuthenticationUser"
  | "innerClientAuthenticationCredentials"
  | "authenticationProvider"
  | "authenticationMetadataProvider"
  | "authenticationStrategy"
  | "authorizationProvider"
  | "authorizationMetadataProvider"
  | "authorizationStrategy"
  | "aclEnable"
  | "migrateAuthFromV1Enabled"
>;

/** @throws ConfigError naming every wrong value by its key */
export function authSettings(options: AuthOptions): AuthSettings {
  const problems: string[] = [];
  for (const [key, classes] of Object.entries(CLASSES)) {
    const given = options[key as keyof AuthOptions] as string | undefined;
    if (!isBlank(given) && !classes.includes((given as string).trim())) {
      problems.push(`${key}=${given}: this server has Apache's own only: ${classes.join(", ")}`);
    }
  }
  const initial = secretBean(options.initAuthenticationUser, "initAuthenticationUser", problems);
  const inner = secretBean(
    options.innerClientAuthenticationCredentials,
    "innerClientAuthenticationCredentials",
    problems,
  );
  const username = initial?.text("username");
  const password = initial?.text("password");
  if (initial !== undefined && (isBlank(username) || isBlank(password))) {
    problems.push('initAuthenticationUser: must be {"username":"...","password":"..."}, neither blank');
  }
  const accessKey = inner?.text("accessKey");
  const secretKey = inner?.text("secretKey");
  if (inner !== undefined && (isBlank(accessKey) || isBlank(secretKey))) {
    problems.push('innerClientAuthenticationCredentials: must be {"accessKey":"...","secretKey":"..."}, neither blank');
  }
  const plain = options.aclEnable;
  const isTwo = options.authenticationEnabled || options.authorizationEnabled;
  if (plain && isTwo) {
    problems.push("aclEnable=true (ACL 1.0) and authenticationEnabled or authorizationEnabled (ACL 2.0): choose one");
  }
  if (options.migrateAuthFromV1Enabled && !isTwo) {
    problems.push("migrateAuthFromV1Enabled=true needs authenticationEnabled=true");
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    authentication: options.authenticationEnabled || plain,
    authorization: options.authorizationEnabled || plain,
    plain,
    migrate: options.migrateAuthFromV1Enabled,
    configured:
      options.authenticationEnabled ||
      options.authorizationEnabled ||
      !isBlank(options.authenticationMetadataProvider) ||
      !isBlank(options.authorizationMetadataProvider),
    authenticationWhitelist: listed(options.authenticationWhitelist),
    authorizationWhitelist: listed(options.authorizationWhitelist),
    initialUser: initial === undefined ? undefined : { username: username as string, password: password as string },
    credentials:
      inner === undefined
        ? undefined
        : {
            accessKey: accessKey as string,
            secretKey: secretKey as string,
            securityToken: inner.text("securityToken"),
          },
  };
}

/** A secret in JSON. What is wrong with it is told without it. */
function secretBean(text: string | undefined, key: string, problems: string[]): Bean | undefined {
  if (isBlank(text)) return undefined;
  try {
    return readBean(key, text as string);
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    problems.push(`${key}: is no JSON object`);
    return undefined;
  }
}

/** Codes as Apache wants them, and their names, which are easier to get right. */
function listed(text: string | undefined): ReadonlySet<string> {
  const all = (text ?? "").split(",").map((one) => one.trim());
  return new Set(
    all.map((one) => String((RequestCode as Record<string, number>)[one] ?? one)).filter((one) => one !== ""),
  );
}

function isBlank(text: string | undefined): boolean {
  return text === undefined || text.trim() === "";
}
