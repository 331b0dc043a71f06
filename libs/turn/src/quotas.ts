import type { Claims } from "./authenticator.ts";
import type { TurnLimits } from "./config.ts";
import type { Owner } from "./outputs.ts";

/** Counts what each user and each tenant holds: allocations, those in the making, and reservations. */
export class Quotas {
  #limits: TurnLimits;
  readonly #users = new Map<string, number>();
  readonly #tenants = new Map<string, number>();
  #total = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** Nobody loses what is held already. */
  setLimits(limits: TurnLimits): void {
    this.#limits = limits;
  }

  /** Which quota `count` more would exceed. */
  exceeded(owner: Owner, claims: Claims, count: number): "user" | "tenant" | "total" | undefined {
    const perUser = claims.maxAllocations ?? this.#limits.allocationsPerUser;
    if ((this.#users.get(userKey(owner)) ?? 0) + count > perUser) return "user";
    if ((this.#tenants.get(owner.tenant) ?? 0) + count > this.#limits.allocationsPerTenant) return "tenant";
    return this.#total + count > this.#limits.allocations ? "total" : undefined;
  }

  acquire(owner: Owner): void {
    this.#add(owner, 1);
  }

  release(owner: Owner): void {
    this.#add(owner, -1);
  }

  #add(owner: Owner, count: number): void {
    this.#total += count;
    addTo(this.#users, userKey(owner), count);
    addTo(this.#tenants, owner.tenant, count);
  }
}

/** Whether both are the same user: a renewed credential keeps its user. */
export function sameOwner(a: Owner, b: Owner): boolean {
  return a.tenant === b.tenant && a.user === b.user;
}

function userKey(owner: Owner): string {
  return `${owner.tenant.length} ${owner.tenant} ${owner.user}`;
}

function addTo(map: Map<string, number>, key: string, count: number): void {
  const sum = (map.get(key) ?? 0) + count;
  if (sum > 0) map.set(key, sum);
  else map.delete(key);
}
