/**
 * Users and their rights over the wire: AUTH_CREATE_USER and its neighbours (Apache: AdminBrokerProcessor). Every change is on disk
 * before it is answered. Passwords travel in answers, because Apache's proxies and `mqadmin copyUser` need them; who may ask is
 * a matter of the right to Get or Update on the cluster.
 */
import { type AuthTables, type User, usernameOf } from "../auth/authTables.ts";
import { AuthError } from "../auth/policies.ts";
import { decodeAclInfo, decodeUserInfo, encodeAuth, type UserInfo } from "../protocol/bodies/auth.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import {
  CreateAclRequestHeader,
  CreateUserRequestHeader,
  DeleteAclRequestHeader,
  DeleteUserRequestHeader,
  GetAclRequestHeader,
  GetUserRequestHeader,
  ListAclsRequestHeader,
  ListUsersRequestHeader,
  UpdateAclRequestHeader,
  UpdateUserRequestHeader,
} from "../protocol/generated/headers.ts";
import type { BrokerParts } from "./parts.ts";
import { ok, refuse, requestRow } from "./parts.ts";

export type AuthAdminParts = Pick<BrokerParts, "log"> & {
  /** Undefined: nothing in the configuration speaks of users. */
  readonly auth?: AuthTables | undefined;
};

const OFF = "An system error occurred, please try again later.";
const ONLY_SUPER_CREATES = "The super user can only be create by super user";
const ONLY_SUPER_UPDATES = "The super user can only be update by super user";

export function authAdminRows({ auth, log }: AuthAdminParts): Row[] {
  /** Refuses where there are no users, and says Apache's words for what the tables refuse. */
  const guarded =
    <H>(act: (tables: AuthTables, call: Call<H>) => Reply | Promise<Reply>) =>
    async (call: Call<H>): Promise<Reply> => {
      if (auth === undefined) {
        return refuse("SYSTEM_ERROR", `${OFF} There are no users: authenticationEnabled is false`);
      }
      try {
        return await act(auth, call);
      } catch (error) {
        if (error instanceof AuthError) return refuse("NO_PERMISSION", error.message);
        throw error;
      }
    };
  const done = async (what: string, subject: string | undefined, call: Call, change: Promise<void>): Promise<Reply> => {
    await change;
    log.info({ audit: true, subject, by: call.field("AccessKey"), caller: call.caller.address }, what);
    return ok();
  };
  const giveRights = (tables: AuthTables, call: Call<{ subject?: string | undefined }>) => {
    const info = aclOf(call);
    const subject = info.subject ?? call.header.subject;
    if (usernameOf(subject) === undefined) {
      return refuse("SYSTEM_ERROR", `${OFF} The subject ${subject ?? ""} is none of the kind User:name`);
    }
    return done("rights given", subject, call, tables.putAcl(subject, info));
  };
  return [
    requestRow(
      "AUTH_CREATE_USER",
      CreateUserRequestHeader,
      guarded((tables, call) => {
        const info = userOf(call);
        if (info === undefined) return noUsername();
        if (isSuper(info) && !isSuperLogin(tables, call)) return refuse("SYSTEM_ERROR", ONLY_SUPER_CREATES);
        return done("user created", info.username, call, tables.createUser(info));
      }),
    ),
    requestRow(
      "AUTH_UPDATE_USER",
      UpdateUserRequestHeader,
      guarded((tables, call) => {
        const info = userOf(call);
        if (info === undefined) return noUsername();
        if (isSuper(info) && !isSuperLogin(tables, call)) return refuse("SYSTEM_ERROR", ONLY_SUPER_UPDATES);
        const old = tables.find(info.username as string);
        if (old === undefined) throw new AuthError("The user is not exist");
        if (old.type === "Super" && !isSuperLogin(tables, call)) throw new AuthError(ONLY_SUPER_UPDATES);
        return done("user changed", info.username, call, tables.updateUser(info));
      }),
    ),
    requestRow(
      "AUTH_DELETE_USER",
      DeleteUserRequestHeader,
      guarded((tables, call) => {
        const { username = "" } = call.header;
        if (username.trim() === "") throw new AuthError("username can not be blank");
        const old = tables.find(username);
        if (old?.type === "Super" && !isSuperLogin(tables, call)) throw new AuthError(ONLY_SUPER_UPDATES);
        return done("user deleted", username, call, tables.deleteUser(username));
      }),
    ),
    requestRow(
      "AUTH_GET_USER",
      GetUserRequestHeader,
      guarded((tables, { header }) => {
        if (header.username === undefined || header.username.trim() === "") return noUsername();
        const user = tables.find(header.username);
        return user === undefined ? ok() : ok(undefined, encodeAuth(infoOf(user)));
      }),
    ),
    requestRow(
      "AUTH_LIST_USER",
      ListUsersRequestHeader,
      guarded((tables, { header }) => {
        const users = tables.list(header.filter);
        return users.length === 0 ? ok() : ok(undefined, encodeAuth(users.map(infoOf)));
      }),
    ),
    requestRow(
      "AUTH_CREATE_ACL",
      CreateAclRequestHeader,
      guarded((tables, call) => {
        return giveRights(tables, call);
      }),
    ),
    requestRow(
      "AUTH_UPDATE_ACL",
      UpdateAclRequestHeader,
      guarded((tables, call) => {
        return giveRights(tables, call);
      }),
    ),
    requestRow(
      "AUTH_DELETE_ACL",
      DeleteAclRequestHeader,
      guarded((tables, call) => {
        const { subject, policyType, resource } = call.header;
        return done("rights taken", subject, call, tables.deleteAcl(subject, policyType, resource));
      }),
    ),
    requestRow(
      "AUTH_GET_ACL",
      GetAclRequestHeader,
      guarded((tables, { header }) => {
        const acl = tables.getAcl(header.subject);
        return acl === undefined ? ok() : ok(undefined, encodeAuth(acl));
      }),
    ),
    requestRow(
      "AUTH_LIST_ACL",
      ListAclsRequestHeader,
      guarded((tables, { header }) => {
        const acls = tables.listAcl(header.subjectFilter, header.resourceFilter);
        return acls.length === 0 ? ok() : ok(undefined, encodeAuth(acls));
      }),
    ),
  ];
}

/** The user of a request, whose name stands in the header; undefined without one. */
function userOf(call: Call<{ username?: string | undefined }>): UserInfo | undefined {
  const { username } = call.header;
  return username === undefined || username === "" ? undefined : { ...decodeUserInfo(call.body), username };
}

function noUsername(): Reply {
  return refuse("INVALID_PARAMETER", "The username is blank");
}

/** The rights in a request's body; without any, Apache fails with these words. */
function aclOf(call: Call) {
  const info = decodeAclInfo(call.body);
  if ((info.policies ?? []).length === 0) throw new Error("The body of acl is null");
  return info;
}

function isSuper(info: UserInfo): boolean {
  return info.userType?.toLowerCase() === "super";
}

/** Without a name there is no authentication, and then everybody may do everything. */
function isSuperLogin(tables: AuthTables, call: Call): boolean {
  const by = call.field("AccessKey");
  return by === undefined || by === "" || tables.find(by)?.type === "Super";
}

function infoOf({ username, password, type, status }: User): UserInfo {
  return { username, password, userType: type, userStatus: status };
}
