import { type AddressFamily, isChannelNumber, isRfc5766ChannelNumber } from "@culvert/stun";
import type { Allocation, Granted, Relay, Whereabouts } from "./allocation.ts";
import { subjectOf } from "./allocations.ts";
import { decodeBase64Url } from "./base64.ts";
import { CHANNEL_LIFETIME_MS, putChannel } from "./channels.ts";
import type { Core } from "./core.ts";
import type { ClientTuple, Millis, RelayId } from "./io.ts";
import type { Owner, RestoreFailure } from "./outputs.ts";
import { parseSnapshot } from "./parse-snapshot.ts";
import { allowsPort } from "./peer-guard.ts";
import { PERMISSION_LIFETIME_MS, putPermission } from "./permissions.ts";
import type { RelaySocket } from "./relay-sockets.ts";
import type { AllocationSnapshot, RelaySnapshot } from "./snapshot.ts";
import { isStream, tupleKey } from "./tuple.ts";

export interface RestoreOptions {
  /** The client's TCP or TLS stream is still open, at a listener of another server perhaps. Default false. */
  readonly streamLives?: boolean;
  /**
   * The server before ended without a word: what it answered right before its end may be missing from the snapshot, so that
   * what has not run out may have been renewed. It lives as if it had been renewed now, but no longer than two lifetimes
   * from the last one that is known. Default false.
   */
  readonly abrupt?: boolean;
}

interface Restoring {
  readonly snapshot: AllocationSnapshot;
  readonly owner: Owner;
  readonly place: Whereabouts;
  readonly streamLives: boolean;
  readonly abrupt: boolean;
  /** What stops those for which no result is in. */
  readonly open: Map<AddressFamily, () => void>;
  readonly sockets: { readonly socket: RelaySocket; readonly from: RelaySnapshot }[];
  failure: RestoreFailure | undefined;
}

/** Allocations of other processes on their way into this one. Their clients have to wait. */
export class Restores {
  readonly #byRecord = new Map<string, Restoring>();
  readonly #tuples = new Set<string>();

  /** Whether the allocation of this 5-tuple is on its way, or that of a client on its way there. */
  has(client: ClientTuple): boolean {
    return this.#tuples.size > 0 && this.#tuples.has(tupleKey(client));
  }

  hasRecord(record: string): boolean {
    return this.#byRecord.has(record);
  }

  /** Checks a snapshot as if all in it were asked for now, and starts to bind its ports. */
  start(core: Core, input: AllocationSnapshot, options: RestoreOptions, now: Millis): void {
    const parsed = parseSnapshot(input);
    if (!parsed.ok) {
      failed(core, parsed.record, "malformed");
      return;
    }
    const { snapshot } = parsed;
    const checked = this.#check(core, snapshot, options, now);
    if (typeof checked === "string") {
      failed(core, snapshot.record, checked);
      return;
    }
    const { tenant, user, kid } = snapshot;
    const owner: Owner = { tenant, user, kid };
    const restoring: Restoring = {
      snapshot,
      owner,
      place: checked,
      streamLives: options.streamLives === true,
      abrupt: options.abrupt === true,
      open: new Map(),
      sockets: [],
      failure: undefined,
    };
    this.#byRecord.set(snapshot.record, restoring);
    for (const tuple of tuplesOf(snapshot)) this.#tuples.add(tuple);
    core.quotas.acquire(owner);
    const alive = snapshot.relays.filter(({ expiresAt }) => expiresAt > now);
    for (const { family } of alive) restoring.open.set(family, () => {});
    for (const from of alive) {
      const stop = core.sockets.reopen(from.relayed, from.counters, now, (result, at) => {
        restoring.open.delete(from.family);
        if (result.ok) restoring.sockets.push({ socket: result.socket, from });
        else restoring.failure ??= result.reason;
        if (restoring.open.size === 0) this.#finish(core, restoring, at);
      });
      if (restoring.open.has(from.family)) restoring.open.set(from.family, stop);
    }
  }

  /** Drops what is on its way for a client whose stream has ended. */
  cancelClient(core: Core, client: ClientTuple): void {
    if (this.has(client))
      this.#cancel(core, (restoring) => tupleKey(restoring.snapshot.client) === tupleKey(client), "cancelled");
  }

  /** Drops what is on its way for the owners that match. */
  revoke(core: Core, matches: (owner: Owner, username: string) => boolean): void {
    this.#cancel(core, ({ owner, snapshot }) => matches(owner, snapshot.username), "revoked");
  }

  /** Drops what has one of these sockets. */
  lose(core: Core, lost: ReadonlySet<RelayId>): void {
    this.#cancel(core, ({ sockets }) => sockets.some(({ socket }) => lost.has(socket.id)), "cancelled");
  }

  #check(core: Core, snapshot: AllocationSnapshot, options: RestoreOptions, now: Millis): Whereabouts | RestoreFailure {
    const { record, client, tenant, user, username, claims, relays, ticket } = snapshot;
    const listener = core.listeners.get(client.listener);
    if (listener === undefined) return "unknown-listener";
    if (core.allocations.withRecord(record) !== undefined || this.#byRecord.has(record)) return "exists";
    if (core.allocations.get(client) !== undefined || core.attempts.get(client) !== undefined || this.has(client)) {
      return "tuple-taken";
    }
    const returns = ticket !== undefined && core.config.mobility === "allowed";
    if (isStream(listener.transport) && options.streamLives !== true && !returns) return "stream-gone";
    if (relays.every(({ expiresAt }) => expiresAt <= now)) return "expired";
    const credential = core.authenticator.resolve({ username, realm: core.config.realm, nowMs: now });
    // What is merely unknown may become known; what has expired lets its allocations live out their lifetime.
    if (credential.kind === "rejected" && credential.reason === "revoked") return "revoked";
    if (core.quotas.exceeded({ tenant, user }, claims, 1) !== undefined) return "quota";
    return { client, listener };
  }

  #finish(core: Core, restoring: Restoring, now: Millis): void {
    const { snapshot, owner, place, abrupt } = restoring;
    this.#forget(restoring);
    const sockets: (Lifetime & Restoring["sockets"][number])[] = [];
    for (const { socket, from } of restoring.sockets) {
      const { expiresAt, granted } = lifetimeOf(core, from, abrupt, now);
      if (expiresAt > now) {
        sockets.push({ socket, from, expiresAt, granted });
        continue;
      }
      // Binding took longer than it had left.
      core.sockets.close(socket);
      restoring.failure ??= "expired";
    }
    if (sockets.length === 0) {
      core.quotas.release(owner);
      failed(core, snapshot.record, restoring.failure ?? "bind-failed");
      return;
    }
    sockets.sort((a, b) => a.socket.family - b.socket.family);
    const allocation = core.allocations.create(
      {
        ...place,
        record: snapshot.record,
        owner,
        username: snapshot.username,
        claims: snapshot.claims,
        createdAt: snapshot.createdAt,
        transactionId: decodeBase64Url(snapshot.transaction) ?? new Uint8Array(0),
        ticket: core.config.mobility === "allowed" ? snapshot.ticket : undefined,
      },
      sockets,
    );
    core.out.event({ type: "event", name: "allocation-restored", ...subjectOf(allocation) });
    let complete = sockets.length === snapshot.relays.length;
    for (const { socket, from } of sockets) {
      const relay = allocation.relays.get(socket.family);
      if (relay !== undefined && !refill(core, relay, from, abrupt, now)) complete = false;
    }
    if (!complete || abrupt) core.allocations.changed(allocation);
    this.#place(core, allocation, restoring, now);
  }

  /** Where the client is, if it is anywhere. */
  #place(core: Core, allocation: Allocation, { snapshot, place, streamLives }: Restoring, now: Millis): void {
    const { movingTo } = snapshot;
    const listener = movingTo === undefined ? undefined : core.listeners.get(movingTo.listener);
    if (movingTo !== undefined && listener !== undefined && isFree(core, movingTo) && !this.has(movingTo)) {
      core.allocations.expect(allocation, { client: movingTo, listener });
    }
    if (isStream(place.listener.transport) && !streamLives) {
      core.allocations.streamEnded(allocation, place.client, now);
    }
  }

  #cancel(core: Core, matches: (restoring: Restoring) => boolean, reason: RestoreFailure): void {
    for (const restoring of [...this.#byRecord.values()]) {
      if (!matches(restoring)) continue;
      this.#forget(restoring);
      for (const stop of restoring.open.values()) stop();
      for (const { socket } of restoring.sockets) core.sockets.close(socket);
      core.quotas.release(restoring.owner);
      failed(core, restoring.snapshot.record, reason);
    }
  }

  #forget({ snapshot }: Restoring): void {
    this.#byRecord.delete(snapshot.record);
    for (const tuple of tuplesOf(snapshot)) this.#tuples.delete(tuple);
  }
}

interface Lifetime {
  readonly expiresAt: Millis;
  readonly granted: Granted;
}

function lifetimeOf(core: Core, from: RelaySnapshot, abrupt: boolean, now: Millis): Lifetime {
  const { defaultLifetimeSeconds, maxLifetimeSeconds } = core.config;
  const latest = now + maxLifetimeSeconds * 1000;
  const { expiresAt, lifetimeMs = defaultLifetimeSeconds * 1000, grantedUntil: until = expiresAt } = from;
  const renewed = abrupt ? Math.min(now, until) + lifetimeMs : expiresAt;
  const end = Math.min(Math.max(expiresAt, renewed), latest);
  return { expiresAt: end, granted: { lifetimeMs, until: Math.min(until, end) } };
}

/** Permissions and channels go through the policy of today. False where one of them did not pass. */
function refill(core: Core, relay: Relay, from: RelaySnapshot, abrupt: boolean, now: Millis): boolean {
  const { allocation } = relay;
  const endOf = (expiresAt: Millis, lifetimeMs: Millis): Millis =>
    abrupt ? now + lifetimeMs : Math.min(expiresAt, now + lifetimeMs);
  const { permissionsPerAllocation, channelsPerAllocation } = core.config.limits;
  let complete = true;
  for (const { ip, expiresAt } of from.permissions) {
    if (expiresAt <= now) continue;
    const decision = core.guard.judge(ip, allocation.onlyPeers);
    const full = countPermissions(allocation) >= permissionsPerAllocation;
    if (decision.allowed && !full) {
      putPermission(core, { relay, ip, decision }, endOf(expiresAt, PERMISSION_LIFETIME_MS));
    } else {
      complete = false;
    }
  }
  for (const { number, peer, expiresAt } of from.channels) {
    if (expiresAt <= now) continue;
    const decision = core.guard.judge(peer.ip, allocation.onlyPeers);
    const valid = core.config.rfc5766Channels ? isRfc5766ChannelNumber(number) : isChannelNumber(number);
    const full = allocation.channels.size >= channelsPerAllocation;
    if (decision.allowed && allowsPort(decision.ports, peer.port) && valid && !full) {
      putChannel(core, relay, number, peer, decision.wireIp, endOf(expiresAt, CHANNEL_LIFETIME_MS));
    } else {
      complete = false;
    }
  }
  return complete;
}

function tuplesOf({ client, movingTo }: AllocationSnapshot): readonly string[] {
  return movingTo === undefined ? [tupleKey(client)] : [tupleKey(client), tupleKey(movingTo)];
}

function isFree(core: Core, client: ClientTuple): boolean {
  return core.allocations.get(client) === undefined && core.attempts.get(client) === undefined;
}

function failed(core: Core, record: string, reason: RestoreFailure): void {
  core.out.event({ type: "event", name: "restore-failed", record, reason });
}

function countPermissions({ relays }: Allocation): number {
  let count = 0;
  for (const { permissions } of relays.values()) count += permissions.size;
  return count;
}
