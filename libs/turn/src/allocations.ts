import type { AddressFamily } from "@culvert/stun";
import type { Allocation, Granted, Relay, Whereabouts } from "./allocation.ts";
import type { Claims } from "./authenticator.ts";
import { parseCidr } from "./cidr.ts";
import type { Deadlines } from "./deadlines.ts";
import type { ClientTuple, Millis, RelayId } from "./io.ts";
import type { OutputQueue } from "./output-queue.ts";
import type { DeletionReason, Owner } from "./outputs.ts";
import type { Quotas } from "./quotas.ts";
import type { RelaySocket, RelaySockets } from "./relay-sockets.ts";
import { isStream, sameTuple, tupleKey } from "./tuple.ts";

/** A mobile client whose stream has ended may come back to its allocation for this long. */
const STREAM_GRACE_MS = 60_000;

/** What an allocation is made of, beside its sockets. */
export interface AllocationOrigin extends Whereabouts {
  readonly record: string;
  readonly owner: Owner;
  readonly username: string;
  readonly claims: Claims;
  readonly createdAt: Millis;
  readonly transactionId: Uint8Array;
  /** Of the mobility ticket that is good. Undefined: there is none. */
  readonly ticket: number | undefined;
}

/** All allocations of a server. */
export class Allocations {
  readonly #out: OutputQueue;
  readonly #deadlines: Deadlines;
  readonly #sockets: RelaySockets;
  readonly #quotas: Quotas;
  readonly #putsOutChanges: boolean;
  readonly #byId = new Map<number, Allocation>();
  /** Those that move have two. */
  readonly #byTuple = new Map<string, Allocation>();
  readonly #byRecord = new Map<string, Allocation>();
  readonly #byRelay = new Map<RelayId, Relay>();
  #lastId = 0;

  constructor(out: OutputQueue, deadlines: Deadlines, sockets: RelaySockets, quotas: Quotas, putsOutChanges: boolean) {
    this.#out = out;
    this.#deadlines = deadlines;
    this.#sockets = sockets;
    this.#quotas = quotas;
    this.#putsOutChanges = putsOutChanges;
  }

  get size(): number {
    return this.#byId.size;
  }

  [Symbol.iterator](): IterableIterator<Allocation> {
    return this.#byId.values();
  }

  get(client: ClientTuple): Allocation | undefined {
    return this.#byTuple.get(tupleKey(client));
  }

  withId(id: number): Allocation | undefined {
    return this.#byId.get(id);
  }

  withRecord(record: string): Allocation | undefined {
    return this.#byRecord.get(record);
  }

  relay(id: RelayId): Relay | undefined {
    return this.#byRelay.get(id);
  }

  /** Makes an allocation of open sockets. Its owner's quota was acquired before. Whoever makes it says so. */
  create(
    origin: AllocationOrigin,
    sockets: readonly { readonly socket: RelaySocket; readonly expiresAt: Millis; readonly granted: Granted }[],
  ): Allocation {
    const { client, listener, claims, ticket } = origin;
    const allocation: Allocation = {
      id: ++this.#lastId,
      record: origin.record,
      client,
      listener,
      owner: origin.owner,
      username: origin.username,
      claims,
      // A range that does not parse allows nothing; that fails closed.
      onlyPeers: claims.peerCidrs?.flatMap((text) => {
        const result = parseCidr(text);
        return result.ok ? [result.cidr] : [];
      }),
      createdAt: origin.createdAt,
      transactionId: origin.transactionId,
      response: undefined,
      relays: new Map<AddressFamily, Relay>(),
      channels: new Map(),
      channelsByPeer: new Map(),
      newPeersEmptyAt: 0,
      mobility:
        ticket === undefined
          ? undefined
          : { generation: ticket, moving: undefined, last: undefined, orphaned: undefined },
      changed: false,
    };
    for (const { socket, expiresAt, granted } of sockets) {
      const relay: Relay = {
        allocation,
        socket,
        expiry: this.#deadlines.add(expiresAt, () => this.deleteRelay(relay, "expired")),
        granted,
        permissions: new Map(),
        toPeersEmptyAt: 0,
        toClientEmptyAt: 0,
      };
      allocation.relays.set(socket.family, relay);
      this.#byRelay.set(socket.id, relay);
      this.publish(relay);
    }
    this.#byId.set(allocation.id, allocation);
    this.#byTuple.set(tupleKey(client), allocation);
    this.#byRecord.set(allocation.record, allocation);
    return allocation;
  }

  /** Tells that the allocation is not as its snapshot has it, any more. */
  changed(allocation: Allocation): void {
    if (!this.#putsOutChanges || allocation.changed) return;
    allocation.changed = true;
    this.#out.push({ type: "changed", allocation: allocation.id });
  }

  /** Gives a relayed address more time. */
  extend(relay: Relay, lifetimeSeconds: number, now: Millis): void {
    const lifetimeMs = lifetimeSeconds * 1000;
    relay.granted = { lifetimeMs, until: now + lifetimeMs };
    this.#deadlines.move(relay.expiry, relay.granted.until);
    this.publish(relay);
    this.changed(relay.allocation);
  }

  /** Puts the relay into the table of the data plane. */
  publish(relay: Relay): void {
    const { allocation, socket, expiry } = relay;
    const { maxBps } = allocation.claims;
    this.#out.push({
      type: "upsert",
      entry: {
        kind: "allocation",
        relay: socket.id,
        client: allocation.client,
        family: socket.family,
        deadline: expiry.at,
        maxBytesPerSecond: maxBps,
      },
    });
  }

  /** The client may be heard from a further 5-tuple, from now on. In the place of one before. */
  expect(allocation: Allocation, moving: Whereabouts | undefined): void {
    const { mobility } = allocation;
    if (mobility === undefined) return;
    if (mobility.moving !== undefined) this.#forget(mobility.moving.client, allocation);
    mobility.moving = moving;
    if (moving !== undefined) this.#byTuple.set(tupleKey(moving.client), allocation);
    this.changed(allocation);
  }

  /** Something came from a client: if it was expected from there, it is there now. */
  heard(allocation: Allocation, client: ClientTuple): void {
    const moving = allocation.mobility?.moving;
    if (moving !== undefined && sameTuple(moving.client, client)) this.relocate(allocation, moving);
  }

  /** The client is at another 5-tuple. What was the old one is nobody's, and its stream is closed. */
  relocate(allocation: Allocation, to: Whereabouts): void {
    const { mobility, client: from, listener: before } = allocation;
    if (mobility === undefined) return;
    this.expect(allocation, undefined);
    this.#forget(from, allocation);
    const hadStream = isStream(before.transport) && mobility.orphaned === undefined;
    this.#deadlines.remove(mobility.orphaned);
    mobility.orphaned = undefined;
    allocation.client = to.client;
    allocation.listener = to.listener;
    this.#byTuple.set(tupleKey(to.client), allocation);
    for (const relay of allocation.relays.values()) this.publish(relay);
    if (hadStream) this.#out.push({ type: "close", client: from });
    this.#out.event({ type: "event", name: "allocation-moved", ...subjectOf(allocation), from });
  }

  /** A stream has ended. Without a ticket the allocation ends with it. */
  streamEnded(allocation: Allocation, client: ClientTuple, now: Millis): void {
    const { mobility } = allocation;
    if (mobility === undefined) {
      this.delete(allocation, "client-closed");
      return;
    }
    const { moving } = mobility;
    if (moving !== undefined && sameTuple(moving.client, client)) {
      this.expect(allocation, undefined);
      return;
    }
    this.#forget(client, allocation);
    mobility.orphaned = this.#deadlines.add(now + STREAM_GRACE_MS, () => this.delete(allocation, "client-closed"));
    if (moving !== undefined) this.relocate(allocation, moving);
  }

  /** Ends one relayed address, and with the last one the allocation. */
  deleteRelay(relay: Relay, reason: DeletionReason): void {
    const { allocation, socket } = relay;
    if (allocation.relays.size <= 1) {
      this.delete(allocation, reason);
      return;
    }
    this.#close(relay);
    allocation.relays.delete(socket.family);
    for (const channel of [...allocation.channels.values()]) {
      if (channel.relay !== relay) continue;
      allocation.channels.delete(channel.number);
    }
    for (const [key, channel] of [...allocation.channelsByPeer]) {
      if (channel.relay === relay) allocation.channelsByPeer.delete(key);
    }
    this.changed(allocation);
    this.#out.event({
      type: "event",
      name: "relay-deleted",
      ...allocation.owner,
      allocation: allocation.id,
      relay: socket.id,
      family: socket.family,
    });
  }

  delete(allocation: Allocation, reason: DeletionReason): void {
    const { id, record, client, listener, owner, mobility } = allocation;
    const slot = slotOf(allocation);
    const relayed = [...allocation.relays.values()].map(({ socket }) => socket.relayed);
    for (const relay of allocation.relays.values()) this.#close(relay);
    allocation.relays.clear();
    allocation.channels.clear();
    allocation.channelsByPeer.clear();
    this.#byId.delete(id);
    this.#byRecord.delete(record);
    this.#forget(client, allocation);
    if (mobility?.moving !== undefined) this.#forget(mobility.moving.client, allocation);
    this.#deadlines.remove(mobility?.orphaned);
    this.#quotas.release(owner);
    this.#out.event({
      type: "event",
      name: "allocation-deleted",
      tenant: owner.tenant,
      user: owner.user,
      kid: owner.kid,
      allocation: id,
      record,
      slot,
      client,
      transport: listener.transport,
      relayed,
      reason,
    });
  }

  #forget(client: ClientTuple, allocation: Allocation): void {
    const key = tupleKey(client);
    if (this.#byTuple.get(key) === allocation) this.#byTuple.delete(key);
  }

  #close(relay: Relay): void {
    this.#deadlines.remove(relay.expiry);
    for (const permission of relay.permissions.values()) this.#deadlines.remove(permission.expiry);
    relay.permissions.clear();
    for (const channel of relay.allocation.channels.values()) {
      if (channel.relay === relay) this.#deadlines.remove(channel.expiry);
    }
    this.#byRelay.delete(relay.socket.id);
    this.#sockets.close(relay.socket);
  }
}

/** What events say of an allocation. */
export function subjectOf(allocation: Allocation): Owner & {
  readonly allocation: number;
  readonly record: string;
  readonly slot: string | undefined;
  readonly client: ClientTuple;
  readonly transport: Allocation["listener"]["transport"];
  readonly relayed: readonly RelaySocket["relayed"][];
} {
  const { tenant, user, kid } = allocation.owner;
  return {
    tenant,
    user,
    kid,
    allocation: allocation.id,
    record: allocation.record,
    slot: slotOf(allocation),
    client: allocation.client,
    transport: allocation.listener.transport,
    relayed: [...allocation.relays.values()].map(({ socket }) => socket.relayed),
  };
}

/** The slot that owns the record. */
export function slotOf(allocation: Allocation): string | undefined {
  const [first] = allocation.relays.values();
  return first?.socket.slot;
}
