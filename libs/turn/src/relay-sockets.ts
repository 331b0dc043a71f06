import type { AddressFamily } from "@culvert/stun";
import type { RelayAddressConfig, ResolvedConfig } from "./config.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { BindResult, InitialCounters, LocalAddress, Millis, RelayedAddress, RelayId } from "./io.ts";
import type { OutputQueue } from "./output-queue.ts";
import { type Place, Places, type SlotConfig } from "./places.ts";
import type { PortNeed } from "./port-pool.ts";
import type { RandomSource } from "./random.ts";

/** A relay socket: open, or being opened. */
export interface RelaySocket {
  readonly id: RelayId;
  readonly family: AddressFamily;
  readonly local: LocalAddress;
  /** As clients and peers know it. */
  readonly relayed: RelayedAddress;
  readonly slot: string | undefined;
}

export type OpenResult =
  /** One socket; with the need "pair" two, the even port first. */
  | { readonly ok: true; readonly sockets: readonly RelaySocket[] }
  /** No port is free, or none could be bound. */
  | { readonly ok: false };

export type ReopenResult =
  | { readonly ok: true; readonly socket: RelaySocket }
  | { readonly ok: false; readonly reason: "no-slot" | "port-taken" | "bind-failed" | "cancelled" };

/** A port that another process holds is left alone for this long. */
const QUARANTINE_MS = 60_000;

/** The process that had a port before may need a moment to go. */
const REOPEN_PAUSE_MS = 50;

interface Opening {
  readonly family: AddressFamily;
  readonly need: PortNeed;
  readonly done: (result: OpenResult, now: Millis) => void;
  readonly deadline: Deadline;
  attemptsLeft: number;
  sockets: readonly RelaySocket[];
  readonly awaiting: Set<RelayId>;
  failed: boolean;
}

/** What waits for the answer to a `Bind`. */
interface Awaited {
  readonly bound: (result: BindResult, now: Millis) => void;
  /** The place of the socket is lost. */
  readonly lost: (now: Millis) => void;
}

/** Opens relay sockets on random free ports, or again on the ports that they had, and closes them. */
export class RelaySockets {
  readonly #config: ResolvedConfig;
  readonly #out: OutputQueue;
  readonly #deadlines: Deadlines;
  readonly #places: Places;
  readonly #placeOf = new Map<RelayId, Place>();
  readonly #awaited = new Map<RelayId, Awaited>();
  #lastId = 0;

  constructor(config: ResolvedConfig, random: RandomSource, out: OutputQueue, deadlines: Deadlines) {
    this.#config = config;
    this.#out = out;
    this.#deadlines = deadlines;
    this.#places = new Places(config, random);
  }

  supports(family: AddressFamily): boolean {
    return this.#places.supports(family);
  }

  /** How many relayed ports are free. */
  free(family: AddressFamily): number {
    return this.#places.free(family);
  }

  /** Of all places: the ports that there are, and how many of them are not free. */
  ports(): { readonly capacity: number; readonly used: number } {
    return this.#places.ports();
  }

  /** Changes what the addresses of this host are called outside, for sockets that are opened from now on. */
  setRelays(relays: readonly RelayAddressConfig[]): void {
    this.#places.setRelays(relays);
  }

  /**
   * Takes the slots held from now on in the place of those before. What is being opened in a slot that is lost is tried
   * elsewhere. Returns the open sockets whose slot is lost; they are to be closed.
   */
  setSlots(slots: readonly SlotConfig[], now: Millis): ReadonlySet<RelayId> {
    const lostPlaces = this.#places.setSlots(slots);
    if (lostPlaces.size === 0) return new Set();
    const isLost = (id: RelayId): boolean => {
      const place = this.#placeOf.get(id);
      return place !== undefined && lostPlaces.has(place);
    };
    for (const [id, awaited] of [...this.#awaited]) {
      if (isLost(id) && this.#awaited.get(id) === awaited) awaited.lost(now);
    }
    return new Set([...this.#placeOf.keys()].filter(isLost));
  }

  /** Opens a socket, or a pair. `done` is called once, perhaps before this returns. Returns what stops it. */
  open(
    family: AddressFamily,
    need: PortNeed,
    now: Millis,
    done: (result: OpenResult, now: Millis) => void,
  ): (now: Millis) => void {
    const opening: Opening = {
      family,
      need,
      done,
      deadline: this.#deadlines.add(now + this.#config.limits.bindTimeoutMs, (at) => this.#giveUp(opening, at)),
      attemptsLeft: this.#config.limits.bindAttempts,
      sockets: [],
      awaiting: new Set(),
      failed: false,
    };
    this.#attempt(opening, now);
    return (at) => this.#abandon(opening, at);
  }

  /**
   * Opens a socket on the port that it had before. While the port is in use, or its address is not here yet, it is tried
   * again for as long as an Allocate waits. `done` is called once, perhaps before this returns. Returns what stops it.
   */
  reopen(
    relayed: RelayedAddress,
    counters: InitialCounters | undefined,
    now: Millis,
    done: (result: ReopenResult, now: Millis) => void,
  ): () => void {
    const place = this.#places.of(relayed);
    if (place === undefined || !place.pool.takeOnly(relayed.port)) {
      done({ ok: false, reason: place === undefined ? "no-slot" : "port-taken" }, now);
      return () => {};
    }
    let current: RelaySocket | undefined;
    let retry: Deadline | undefined;
    const stop = (): void => {
      this.#deadlines.remove(end);
      this.#deadlines.remove(retry);
      if (current === undefined) place.pool.release(relayed.port);
      else this.close(current);
      current = undefined;
    };
    const fail = (reason: "bind-failed" | "cancelled", at: Millis): void => {
      stop();
      done({ ok: false, reason }, at);
    };
    const end = this.#deadlines.add(now + this.#config.limits.bindTimeoutMs, (at) => fail("bind-failed", at));
    const bind = (): void => {
      const socket = this.#bind(place, relayed.port, counters, {
        bound: (result, at) => {
          if (result.ok) {
            this.#deadlines.remove(end);
            done({ ok: true, socket }, at);
            return;
          }
          this.#out.event({ type: "event", name: "bind-failed", relay: socket.id, reason: result.reason });
          this.#placeOf.delete(socket.id);
          current = undefined;
          if (result.reason === "no-descriptors") fail("bind-failed", at);
          else retry = this.#deadlines.add(at + REOPEN_PAUSE_MS, bind);
        },
        lost: (at) => fail("cancelled", at),
      });
      current = socket;
    };
    bind();
    return stop;
  }

  /** The answer to a `Bind`. One that nobody waits for does nothing. */
  handleBound(relay: RelayId, result: BindResult, now: Millis): void {
    const awaited = this.#awaited.get(relay);
    if (awaited === undefined) return;
    this.#awaited.delete(relay);
    awaited.bound(result, now);
  }

  /** Closes a socket; its port is free again. */
  close(socket: RelaySocket): void {
    const place = this.#placeOf.get(socket.id);
    if (place === undefined) return;
    this.#placeOf.delete(socket.id);
    this.#awaited.delete(socket.id);
    this.#out.push({ type: "unbind", relay: socket.id });
    place.pool.release(socket.local.port);
  }

  #opened(opening: Opening, relay: RelayId, result: BindResult, now: Millis): void {
    opening.awaiting.delete(relay);
    if (!result.ok) {
      this.#out.event({ type: "event", name: "bind-failed", relay, reason: result.reason });
      opening.failed = true;
      opening.sockets = opening.sockets.filter((socket) => {
        if (socket.id !== relay) return true;
        this.#discard(socket, now + QUARANTINE_MS);
        return false;
      });
      if (result.reason !== "in-use") opening.attemptsLeft = 0;
    }
    if (opening.awaiting.size > 0) return;
    if (!opening.failed) {
      this.#deadlines.remove(opening.deadline);
      opening.done({ ok: true, sockets: opening.sockets }, now);
      return;
    }
    for (const socket of opening.sockets) this.close(socket);
    this.#attempt(opening, now);
  }

  #attempt(opening: Opening, now: Millis): void {
    opening.sockets = [];
    opening.failed = false;
    const taken = opening.attemptsLeft > 0 ? this.#places.take(opening.family, opening.need) : undefined;
    opening.attemptsLeft--;
    if (taken === undefined) {
      this.#deadlines.remove(opening.deadline);
      opening.done({ ok: false }, now);
      return;
    }
    const ports = opening.need === "pair" ? [taken.port, taken.port + 1] : [taken.port];
    opening.sockets = ports.map((port) => {
      const socket = this.#bind(taken.place, port, undefined, {
        bound: (result, at) => this.#opened(opening, socket.id, result, at),
        lost: (at) => {
          this.#clear(opening);
          this.#attempt(opening, at);
        },
      });
      opening.awaiting.add(socket.id);
      return socket;
    });
  }

  #bind(place: Place, port: number, counters: InitialCounters | undefined, awaited: Awaited): RelaySocket {
    const id = ++this.#lastId;
    const { ip, external, family, slot, lease } = place;
    const local = { ip, port };
    this.#placeOf.set(id, place);
    this.#awaited.set(id, awaited);
    this.#out.push({
      type: "bind",
      relay: id,
      local,
      ...(lease === undefined ? {} : { lease }),
      ...(counters === undefined ? {} : { counters }),
    });
    return { id, family, local, relayed: { ip: external, port }, slot };
  }

  #giveUp(opening: Opening, now: Millis): void {
    for (const relay of opening.awaiting) {
      this.#out.event({ type: "event", name: "bind-failed", relay, reason: "timeout" });
    }
    this.#abandon(opening, now);
    opening.done({ ok: false }, now);
  }

  #abandon(opening: Opening, _now: Millis): void {
    this.#deadlines.remove(opening.deadline);
    this.#clear(opening);
  }

  #clear(opening: Opening): void {
    opening.awaiting.clear();
    for (const socket of opening.sockets) this.close(socket);
    opening.sockets = [];
  }

  /** Lets a socket go whose port is not to be used before `freeAt`. */
  #discard(socket: RelaySocket, freeAt: Millis): void {
    const place = this.#placeOf.get(socket.id);
    this.#placeOf.delete(socket.id);
    this.#deadlines.add(freeAt, () => place?.pool.release(socket.local.port));
  }
}
