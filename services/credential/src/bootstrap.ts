import { createHash } from "node:crypto";
import { ConfigError } from "@culvert/config";
import { DEFAULT_TENANT } from "@culvert/credentials";
import type { CredentialStore, StoredKey } from "@culvert/state";
import type { CredentialServiceConfig, KeyConfig, TenantConfig, TokenConfig } from "./config.ts";
import { hashToken } from "./tokens.ts";

/**
 * Brings the declared tenants, keys and tokens into the store. What is there already stays as it is, so that any number of
 * processes may start with the same declaration.
 *
 * @throws ConfigError when an id is there with another meaning
 */
export async function bootstrap(
  store: CredentialStore,
  config: CredentialServiceConfig,
  nowSeconds: number,
): Promise<void> {
  await addTenant(
    store,
    { id: DEFAULT_TENANT, name: "Default", quotas: {}, limits: {}, keys: [], tokens: [] },
    nowSeconds,
    config,
  );
  for (const [index, tenant] of config.tenants.entries()) {
    await addTenant(store, tenant, nowSeconds, config);
    await addKeys(store, tenant.id, tenant.keys, `credential.tenants[${index}].keys`, nowSeconds);
    await addTokens(store, tenant.id, tenant.tokens, `credential.tenants[${index}].tokens`, nowSeconds);
  }
  const staticKeys = config.staticAuthSecrets.map((secret): KeyConfig => ({ kid: staticKid(secret), secret }));
  await addKeys(store, DEFAULT_TENANT, staticKeys, "credential.staticAuthSecrets", nowSeconds);
}

/** The kid of a secret that was declared without one: the same wherever the same secret is declared. */
export function staticKid(secret: string): string {
  return `static-${createHash("sha256").update("culvert kid").update(secret).digest("hex").slice(0, 8)}`;
}

async function addTenant(
  store: CredentialStore,
  { id, name, quotas, limits }: TenantConfig,
  createdAt: number,
  config: CredentialServiceConfig,
): Promise<void> {
  // Of the tenant "default" a declaration tells more than the one that goes without saying.
  const declared = config.tenants.find((tenant) => tenant.id === id);
  const shown = declared ?? { name, quotas, limits };
  await store.createTenant({
    id,
    name: shown.name ?? name ?? id,
    quotas: shown.quotas,
    limits: shown.limits,
    createdAt,
    version: 1,
  });
}

async function addKeys(
  store: CredentialStore,
  tenant: string,
  keys: readonly KeyConfig[],
  path: string,
  createdAt: number,
): Promise<void> {
  // The first signs, and in the store it is the last that does.
  for (const [index, { kid, secret, notAfter }] of [...keys.entries()].reverse()) {
    const end = notAfter === undefined ? ({ state: "active" } as const) : ({ state: "retiring", notAfter } as const);
    const key: StoredKey = { tenant, kid, secret: Buffer.from(secret, "utf8"), createdAt, ...end };
    if ((await store.createKey(key)) === "created") continue;
    const known = await store.key(kid);
    if (known?.tenant === tenant && Buffer.from(known.secret).equals(Buffer.from(secret, "utf8"))) continue;
    throw new ConfigError(`${path}[${index}].kid: ${kid}: is there already with another secret or for another tenant`);
  }
}

async function addTokens(
  store: CredentialStore,
  tenant: string,
  tokens: readonly TokenConfig[],
  path: string,
  createdAt: number,
): Promise<void> {
  for (const [index, { id, name, token, scopes }] of tokens.entries()) {
    const hash = hashToken(token);
    if ((await store.createToken({ id, tenant, name: name ?? id, hash, scopes, createdAt })) === "created") continue;
    const known = await store.tokenByHash(hash);
    if (known?.tenant === tenant && known.id === id) continue;
    throw new ConfigError(`${path}[${index}].id: ${id}: the id or the token is there already with another meaning`);
  }
}
