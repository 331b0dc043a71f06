import type { ClientTuple, Millis } from "@culvert/turn";
import { MESH_REPLY_MS } from "../mesh-port.ts";
import { BoundedMap } from "./bounded-map.ts";
import type { MeshPeer } from "./mesh-link.ts";

const keyOf = ({ listener, remote }: ClientTuple): string => `${listener} ${remote.ip} ${remote.port}`;

interface ForeignClient {
  readonly peer: MeshPeer;
  /** Until when its messages go there. */
  readonly deadline: Millis;
  /** Until when the peer may answer it. */
  readonly replyUntil: Millis;
}

/** Clients of the own listeners that other relays own, by way of which relay. */
export class ForeignClients {
  readonly #clients: BoundedMap<ForeignClient> = new BoundedMap();

  set limit(limit: number) {
    this.#clients.limit = limit;
  }

  get size(): number {
    return this.#clients.size;
  }

  set(client: ClientTuple, peer: MeshPeer, deadline: Millis): void {
    this.#clients.set(keyOf(client), { peer, deadline, replyUntil: deadline + MESH_REPLY_MS });
  }

  /** One message of the client went to the peer. */
  forwarded(client: ClientTuple, peer: MeshPeer, now: Millis): void {
    const known = this.#clients.get(keyOf(client));
    const deadline = known?.peer === peer ? Math.max(known.deadline, now) : now;
    this.set(client, peer, deadline);
  }

  delete(client: ClientTuple): void {
    this.#clients.delete(keyOf(client));
  }

  /** Where messages of the client go. */
  ownerOf(client: ClientTuple, now: Millis): MeshPeer | undefined {
    const known = this.#clients.get(keyOf(client));
    return known !== undefined && known.deadline > now && !known.peer.gone ? known.peer : undefined;
  }

  mayReply(client: ClientTuple, peer: MeshPeer, now: Millis): boolean {
    const known = this.#clients.get(keyOf(client));
    return known !== undefined && known.peer === peer && known.replyUntil > now;
  }
}

/** How long the way to a client that owns nothing is remembered: as long as an answer may take. */
const PATH_MS = 60_000;

/**
 * By which relays messages of clients came up, for answers to them. What owns a relay here keeps its way with it instead.
 */
export class Paths {
  readonly #paths: BoundedMap<{ readonly peer: MeshPeer; readonly until: Millis }> = new BoundedMap();

  set limit(limit: number) {
    this.#paths.limit = limit;
  }

  set(client: ClientTuple, peer: MeshPeer, now: Millis): void {
    this.#paths.set(keyOf(client), { peer, until: now + PATH_MS });
  }

  delete(client: ClientTuple): void {
    if (this.#paths.size > 0) this.#paths.delete(keyOf(client));
  }

  get(client: ClientTuple, now: Millis): MeshPeer | undefined {
    const path = this.#paths.size === 0 ? undefined : this.#paths.get(keyOf(client));
    return path !== undefined && path.until > now && !path.peer.gone ? path.peer : undefined;
  }
}
