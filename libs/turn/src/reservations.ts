import type { Deadline, Deadlines } from "./deadlines.ts";
import type { Millis, RelayId } from "./io.ts";
import type { Owner } from "./outputs.ts";
import { type Quotas, sameOwner } from "./quotas.ts";
import type { RandomSource } from "./random.ts";
import type { RelaySocket, RelaySockets } from "./relay-sockets.ts";
import { hex } from "./tuple.ts";

/** How long a reserved port waits for its Allocate (RFC 8656 section 7.2). */
const RESERVATION_MS = 30_000;

interface Reservation {
  readonly socket: RelaySocket;
  readonly owner: Owner;
  readonly expiry: Deadline;
}

/** Relay sockets that wait for the Allocate that names their RESERVATION-TOKEN. */
export class Reservations {
  readonly #sockets: RelaySockets;
  readonly #quotas: Quotas;
  readonly #deadlines: Deadlines;
  readonly #random: RandomSource;
  readonly #held = new Map<string, Reservation>();

  constructor(sockets: RelaySockets, quotas: Quotas, deadlines: Deadlines, random: RandomSource) {
    this.#sockets = sockets;
    this.#quotas = quotas;
    this.#deadlines = deadlines;
    this.#random = random;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Holds a socket for its owner, on whose quota it counts. Returns the token. */
  hold(socket: RelaySocket, owner: Owner, now: Millis): Uint8Array {
    const token = this.#random.bytes(8);
    const key = hex(token);
    const expiry = this.#deadlines.add(now + RESERVATION_MS, () => this.#drop(key));
    this.#held.set(key, { socket, owner, expiry });
    this.#quotas.acquire(owner);
    return token;
  }

  /** Whether the token is that owner's. */
  check(token: Uint8Array, owner: Owner): "unknown" | "other-user" | "own" {
    const reservation = this.#held.get(hex(token));
    if (reservation === undefined) return "unknown";
    return sameOwner(reservation.owner, owner) ? "own" : "other-user";
  }

  /** Hands the socket over; the token is used up. */
  claim(token: Uint8Array, owner: Owner): RelaySocket | undefined {
    if (this.check(token, owner) !== "own") return undefined;
    const key = hex(token);
    const reservation = this.#held.get(key);
    if (reservation === undefined) return undefined;
    this.#held.delete(key);
    this.#deadlines.remove(reservation.expiry);
    this.#quotas.release(reservation.owner);
    return reservation.socket;
  }

  /** Ends the reservations of the owners that match. */
  revoke(matches: (owner: Owner) => boolean): void {
    for (const [key, reservation] of this.#held) {
      if (matches(reservation.owner)) this.#drop(key);
    }
  }

  /** Ends the reservations that have one of these sockets. */
  lose(lost: ReadonlySet<RelayId>): void {
    for (const [key, { socket }] of this.#held) {
      if (lost.has(socket.id)) this.#drop(key);
    }
  }

  #drop(key: string): void {
    const reservation = this.#held.get(key);
    if (reservation === undefined) return;
    this.#held.delete(key);
    this.#deadlines.remove(reservation.expiry);
    this.#quotas.release(reservation.owner);
    this.#sockets.close(reservation.socket);
  }
}
