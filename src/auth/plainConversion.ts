/** ACL 1.0 made ACL 2.0 (Apache: AuthMigrator): each account that is no user yet becomes one, with its permissions as policies. */
import type { AuthTables } from "./authTables.ts";
import type { PlainAcl } from "./plainAcl.ts";
import { aclInfoOf } from "./policies.ts";

export interface Converted {
  /** Names of the users that were made. */
  readonly made: readonly string[];
  /** What ACL 2.0 has no place for, or was there already; a sentence each. */
  readonly left: readonly string[];
}

/** Converts all of it; resolves when it is on disk. */
export async function convertPlainAcl({ globalWhite, accounts }: PlainAcl, tables: AuthTables): Promise<Converted> {
  const made: string[] = [];
  const left: string[] = [];
  if (globalWhite.length > 0) {
    left.push(
      `globalWhiteRemoteAddresses ${globalWhite.join(" ")}: whoever comes from there needs a user now; ACL 2.0 knows addresses only as part of a right`,
    );
  }
  for (const { accessKey, secretKey, admin, policies, whiteRemoteAddress, place } of accounts) {
    if (tables.find(accessKey) !== undefined) {
      left.push(`${place}: there is a user ${accessKey} already; he stays as he is`);
      continue;
    }
    await tables.createUser({ username: accessKey, password: secretKey, userType: admin ? "Super" : "Normal" });
    made.push(accessKey);
    if (policies.length > 0) await tables.putAcl(`User:${accessKey}`, aclInfoOf(`User:${accessKey}`, policies));
    if (admin && policies.length > 0) {
      left.push(
        `${place}: ${accessKey} is an admin, and as a super user no longer restricted by permissions of his own`,
      );
    }
    if (whiteRemoteAddress !== "") {
      left.push(`${place}: whiteRemoteAddress ${whiteRemoteAddress}: ${accessKey} must sign from there, too`);
    }
  }
  return { made, left };
}
