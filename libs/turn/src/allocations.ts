import type { AddressFamily } from "@culvert/stun";
import type { Allocation, Relay } from "./allocation.ts";
import { parseCidr } from "./cidr.ts";
import type { Deadlines } from "./deadlines.ts";
import type { ClientTuple, Millis, RelayId } from "./io.ts";
import type { OutputQueue } from "./output-queue.ts";
import type { DeletionReason } from "./outputs.ts";
import type { Quotas } from "./quotas.ts";
import type { RelaySocket, RelaySockets } from "./relay-sockets.ts";
import type { AuthenticatedRequest } from "./request.ts";
import { tupleKey } from "./tuple.ts";

/** All allocations of a server. */
export class Allocations {
  readonly #out: OutputQueue;
  readonly #deadlines: Deadlines;
  readonly #sockets: RelaySockets;
  readonly #quotas: Quotas;
  readonly #byTuple = new Map<string, Allocation>();
  readonly #byRelay = new Map<RelayId, Relay>();
  #lastId = 0;

  constructor(out: OutputQueue, deadlines: Deadlines, sockets: RelaySockets, quotas: Quotas) {
    this.#out = out;
    this.#deadlines = deadlines;
    this.#sockets = sockets;
    this.#quotas = quotas;
  }

  get size(): number {
    return this.#byTuple.size;
  }

  [Symbol.iterator](): IterableIterator<Allocation> {
    return this.#byTuple.values();
  }

  get(client: ClientTuple): Allocation | undefined {
    return this.#byTuple.get(tupleKey(client));
  }

  relay(id: RelayId): Relay | undefined {
    return this.#byRelay.get(id);
  }

  /** Makes an allocation of open sockets. Its owner's quota was acquired before. */
  create(request: AuthenticatedRequest, sockets: readonly RelaySocket[], lifetimeSeconds: number): Allocation {
    const { client, listener, identity, now } = request;
    const allocation: Allocation = {
      id: ++this.#lastId,
      client,
      listener,
      owner: identity.owner,
      username: identity.username,
      claims: identity.claims,
      // A range that does not parse allows nothing; that fails closed.
      onlyPeers: identity.claims.peerCidrs?.flatMap((text) => {
        const result = parseCidr(text);
        return result.ok ? [result.cidr] : [];
      }),
      createdAt: now,
      transactionId: request.message.transactionId.slice(),
      response: new Uint8Array(0),
      relays: new Map<AddressFamily, Relay>(),
      channels: new Map(),
      channelsByPeer: new Map(),
      newPeersEmptyAt: 0,
    };
    for (const socket of sockets) {
      const relay: Relay = {
        allocation,
        socket,
        expiry: this.#deadlines.add(now + lifetimeSeconds * 1000, () => this.deleteRelay(relay, "expired")),
        permissions: new Map(),
        toPeersEmptyAt: 0,
        toClientEmptyAt: 0,
      };
      allocation.relays.set(socket.family, relay);
      this.#byRelay.set(socket.id, relay);
      this.publish(relay);
    }
    this.#byTuple.set(tupleKey(client), allocation);
    const { tenant, user, kid } = allocation.owner;
    this.#out.event({
      type: "event",
      name: "allocation-created",
      tenant,
      user,
      kid,
      allocation: allocation.id,
      client,
      transport: listener.transport,
      relayed: sockets.map(({ relayed }) => relayed),
      lifetimeSeconds,
    });
    return allocation;
  }

  /** Gives a relayed address more time. */
  extend(relay: Relay, lifetimeSeconds: number, now: Millis): void {
    this.#deadlines.move(relay.expiry, now + lifetimeSeconds * 1000);
    this.publish(relay);
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
    const relayed = [...allocation.relays.values()].map(({ socket }) => socket.relayed);
    for (const relay of allocation.relays.values()) this.#close(relay);
    allocation.relays.clear();
    allocation.channels.clear();
    allocation.channelsByPeer.clear();
    this.#byTuple.delete(tupleKey(allocation.client));
    this.#quotas.release(allocation.owner);
    const { id, client, listener, owner } = allocation;
    this.#out.event({
      type: "event",
      name: "allocation-deleted",
      tenant: owner.tenant,
      user: owner.user,
      kid: owner.kid,
      allocation: id,
      client,
      transport: listener.transport,
      relayed,
      reason,
    });
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
