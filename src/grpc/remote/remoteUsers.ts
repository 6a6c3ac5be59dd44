/**
 * Users and rights as the brokers of the cluster have them, for a proxy that controls access itself: one of the brokers is asked, and what it
 * said is remembered (Apache: ProxyAuthenticationMetadataProvider, ProxyAuthorizationMetadataProvider over ClusterMetadataService, with its
 * options userCache... and aclCache...). Changes nothing. What a broker does not answer nobody is let in by: what was known of a
 * user lasts until it is too old, as routes do.
 */
import { storedUser, type User, type Users } from "../../auth/authTables.ts";
import { type Policy, policiesOf } from "../../auth/policies.ts";
import type { Clock } from "../../base/clock.ts";
import type { ProxyConfig } from "../../config/index.ts";
import { decodeAclInfo, decodeUserInfo, encodeAuth, type UserInfo } from "../../protocol/bodies/auth.ts";
import type { Answer } from "../../protocol/dispatch.ts";
import { RequestCode } from "../../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../../protocol/generated/responseCodes.ts";
import type { Brokers } from "./brokers.ts";
import { RefreshingCache } from "./cache.ts";

interface Rights {
  readonly policies: readonly Policy[];
  /** What the broker sent, to see whether it changed. */
  readonly text: string;
}

export class RemoteUsers implements Users {
  version = 0;
  readonly #withRights: boolean;
  readonly #users: RefreshingCache<UserInfo>;
  readonly #rights: RefreshingCache<Rights>;

  /** @param brokers those of the cluster rocketMQClusterName */
  constructor(brokers: Pick<Brokers, "askCluster">, config: ProxyConfig, clock: Clock) {
    this.#withRights = config.authorizationEnabled;
    const ask = async (what: string, code: number, header: Record<string, string>): Promise<Answer["body"]> => {
      const answer = await brokers.askCluster(code, header);
      if (answer === undefined) {
        throw new Error(`no broker of the cluster ${config.rocketMQClusterName} is registered (rocketMQClusterName)`);
      }
      if (answer.code === ResponseCode.SUCCESS) return answer.body;
      throw new Error(`a broker does not tell ${what}: CODE: ${answer.code}  DESC: ${answer.remark ?? ""}`);
    };
    const { userCacheRefreshSeconds, userCacheExpiredSeconds, userCacheMaxNum } = config;
    const { aclCacheRefreshSeconds, aclCacheExpiredSeconds, aclCacheMaxNum } = config;
    this.#users = new RefreshingCache(
      clock,
      { refreshMs: userCacheRefreshSeconds * 1000, expireMs: userCacheExpiredSeconds * 1000, max: userCacheMaxNum },
      async (username) => {
        const body = await ask("who a user is", RequestCode.AUTH_GET_USER, { username });
        const user = body.length === 0 ? undefined : decodeUserInfo(body);
        const before = this.#users.last(username);
        if (before === undefined || user === undefined || encodeAuth(before) !== encodeAuth(user)) this.version++;
        return user;
      },
    );
    this.#rights = new RefreshingCache(
      clock,
      { refreshMs: aclCacheRefreshSeconds * 1000, expireMs: aclCacheExpiredSeconds * 1000, max: aclCacheMaxNum },
      async (username) => {
        const body = await ask("what a user may do", RequestCode.AUTH_GET_ACL, { subject: `User:${username}` });
        const text = body.toString();
        if (this.#rights.last(username)?.text !== text) this.version++;
        return { text, policies: body.length === 0 ? [] : policiesOf(decodeAclInfo(body)) };
      },
    );
  }

  /** Rejects when a user is not known and no broker says who he is. */
  whenKnown(username: string): Promise<void> | undefined {
    const user = this.#users.get(username);
    if (user instanceof Promise) return user.then((known) => this.#whenAllowed(username, known));
    return this.#whenAllowed(username, user);
  }

  #whenAllowed(username: string, user: UserInfo | undefined): Promise<void> | undefined {
    if (user === undefined || !this.#withRights || storedUser(user, []).type === "Super") return undefined;
    const rights = this.#rights.get(username);
    return rights instanceof Promise ? rights.then(() => {}) : undefined;
  }

  /** As brokers said last; see {@link whenKnown}. */
  find(username: string): User | undefined {
    const user = this.#users.last(username);
    return user === undefined ? undefined : storedUser(user, this.#rights.last(username)?.policies ?? []);
  }
}
