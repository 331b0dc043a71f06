import { compactTrace } from "@culvert/tracing";
import type { ApiToken, CredentialStore, Tenant } from "../../credential-store.ts";
import { RedisLink } from "../link.ts";
import type { RedisOptions } from "../options.ts";
import { integer, list, text, texts } from "../reply.ts";
import type { Script } from "../script.ts";
import { ChangeLog } from "./change-log.ts";
import { decodeKey, decodeRevocation, encodeKey, encodeSubject } from "./codec.ts";
import { CREDENTIAL_SCRIPTS } from "./scripts.ts";

/** Revocations that are forgotten in one step. */
const PRUNE_BATCH = 1000;

/** A `CredentialStore` in Redis, and the connections to it. */
export interface RedisCredentialStore extends CredentialStore {
  /** @returns false when Redis does not answer within so many milliseconds; the connection is tried on for ever */
  untilUp(ms: number): Promise<boolean>;
}

/**
 * Connects to Redis, and returns at once. Every call rejects with a `StoreUnavailable` while Redis does not answer. Signing
 * keys are there as they are: who may read the keys of this prefix may mint credentials.
 */
export function createRedisCredentialStore(options: RedisOptions): RedisCredentialStore {
  const link = new RedisLink(options, CREDENTIAL_SCRIPTS);
  const log = new ChangeLog(link, options);
  const scripts = CREDENTIAL_SCRIPTS;
  const did = async (reply: Promise<unknown>): Promise<boolean> => integer(await reply) === 1;
  /** Runs a script that watchers are told of. */
  const change = (of: Script, ...words: readonly (string | number)[]): Promise<unknown> => {
    const trace = compactTrace();
    return link.run(of, ...words, ...(trace === undefined ? [] : [`trace ${trace}`]));
  };
  /** One of the words that the call can answer. */
  const outcome = async <Word extends string>(reply: Promise<unknown>, ...words: readonly Word[]): Promise<Word> => {
    const answer = text(await reply);
    const word = words.find((each) => each === answer);
    if (word === undefined) throw new TypeError(`Redis answered ${JSON.stringify(answer)}`);
    return word;
  };

  return {
    createTenant: (tenant) => did(link.run(scripts.createTenant, tenant.id, tenant.version, JSON.stringify(tenant))),
    async tenant(id) {
      const body = await link.run(scripts.tenant, id);
      return body === null ? undefined : parseTenant(text(body));
    },
    async tenants({ after = "", limit }) {
      return texts(await link.run(scripts.tenants, after, limit)).map(parseTenant);
    },
    updateTenant: (tenant) =>
      outcome(
        link.run(scripts.updateTenant, tenant.id, tenant.version, JSON.stringify(tenant)),
        "updated",
        "conflict",
        "missing",
      ),
    deleteTenant: (id) => did(change(scripts.deleteTenant, id)),

    createToken: (token) =>
      outcome(
        link.run(scripts.createToken, token.id, token.tenant, token.hash, JSON.stringify(token)),
        "created",
        "taken",
        "no-tenant",
      ),
    async tokenByHash(hash) {
      const body = await link.run(scripts.token, hash);
      return body === null ? undefined : parseToken(text(body));
    },
    async tokens(tenant) {
      return texts(await link.run(scripts.tokens, tenant)).map(parseToken);
    },
    deleteToken: (tenant, id) => did(link.run(scripts.deleteToken, tenant, id)),

    createKey: (key) => outcome(change(scripts.createKey, ...encodeKey(key)), "created", "taken", "no-tenant"),
    async key(kid) {
      const [found] = list(await link.run(scripts.key, kid));
      return found === undefined ? undefined : decodeKey(list(found));
    },
    async keys(tenant) {
      return list(await link.run(scripts.keys, tenant)).map((row) => decodeKey(list(row)));
    },
    rotateKey: (kid, successor, notAfter) =>
      outcome(
        change(scripts.rotateKey, kid, notAfter, ...encodeKey(successor)),
        "rotated",
        "missing",
        "not-active",
        "taken",
      ),
    retireKey: (tenant, kid, notAfter) => did(change(scripts.retireKey, tenant, kid, notAfter)),
    deleteKey: (tenant, kid) => did(change(scripts.deleteKey, tenant, kid)),

    revoke(revocation, limit) {
      const { tenant, revokedAt, expiresAt } = revocation;
      const words = [tenant, encodeSubject(revocation), revokedAt, expiresAt, limit];
      return outcome(change(scripts.revoke, ...words), "revoked", "too-many", "no-tenant");
    },
    async revocations(tenant) {
      const all = texts(await link.run(scripts.revocations, tenant));
      return all.flatMap((subject, at) => (at % 2 === 0 ? decodeRevocation(tenant, subject, all[at + 1] ?? "") : []));
    },
    async pruneRevocations(nowSeconds) {
      for (let pruned = 0; ; ) {
        const some = integer(await link.run(scripts.prune, nowSeconds, PRUNE_BATCH));
        pruned += some;
        if (some < PRUNE_BATCH) return pruned;
      }
    },

    watch: (listener) => log.watch(listener),
    healthy: () =>
      link.run(scripts.revision).then(
        () => true,
        () => false,
      ),
    async close() {
      log.close();
      await link.close();
    },
    untilUp: (ms) => link.untilUp(ms),
  };
}

/** Written by `createTenant` and `updateTenant` only. */
function parseTenant(json: string): Tenant {
  return JSON.parse(json);
}

/** Written by `createToken` only. */
function parseToken(json: string): ApiToken {
  return JSON.parse(json);
}
