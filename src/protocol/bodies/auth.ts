/** Users and their rights on the wire: UserInfo and AclInfo, alone and in lists. Refuses what is no such JSON with BodyError. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { asBean, type Bean, readBean, toText } from "./reader.ts";

export interface UserInfo {
  username?: string | undefined;
  password?: string | undefined;
  userType?: string | undefined;
  userStatus?: string | undefined;
}

export interface PolicyEntryInfo {
  resource?: string | undefined;
  actions?: string[] | undefined;
  sourceIps?: string[] | undefined;
  decision?: string | undefined;
}

export interface PolicyInfo {
  policyType?: string | undefined;
  entries?: PolicyEntryInfo[] | undefined;
}

export interface AclInfo {
  subject?: string | undefined;
  policies?: PolicyInfo[] | undefined;
}

/** @throws BodyError */
export function decodeUserInfo(body: Buffer | string): UserInfo {
  return readUserInfo(readBean("UserInfo", body));
}

export function readUserInfo(bean: Bean): UserInfo {
  return {
    username: bean.text("username"),
    password: bean.text("password"),
    userType: bean.text("userType"),
    userStatus: bean.text("userStatus"),
  };
}

/** @throws BodyError */
export function decodeAclInfo(body: Buffer | string): AclInfo {
  return readAclInfo(readBean("AclInfo", body));
}

export function readAclInfo(bean: Bean): AclInfo {
  return { subject: bean.text("subject"), policies: bean.list("policies", asBean(readPolicy)) };
}

function readPolicy(bean: Bean): PolicyInfo {
  return { policyType: bean.text("policyType"), entries: bean.list("entries", asBean(readEntry)) };
}

function readEntry(bean: Bean): PolicyEntryInfo {
  return {
    resource: bean.text("resource"),
    actions: bean.list("actions", toText),
    sourceIps: bean.list("sourceIps", toText),
    decision: bean.text("decision"),
  };
}

/** The body of AUTH_LIST_USER; empty when there is none, as in Apache. @throws BodyError */
export function decodeUserInfos(body: Buffer | string): UserInfo[] {
  return decodeAll(body, readUserInfo);
}

/** The body of AUTH_LIST_ACL; empty when there is none, as in Apache. @throws BodyError */
export function decodeAclInfos(body: Buffer | string): AclInfo[] {
  return decodeAll(body, readAclInfo);
}

/** A list as a body is no bean: it is read as the one field of one. */
function decodeAll<T>(body: Buffer | string, read: (bean: Bean) => T): T[] {
  if (body.length === 0) return [];
  return readBean("list", `{"list":${body.toString()}}`).list("list", asBean(read)) ?? [];
}

export function encodeAuth(info: UserInfo | AclInfo | UserInfo[] | AclInfo[]): string {
  return writeJavaJson(info);
}
