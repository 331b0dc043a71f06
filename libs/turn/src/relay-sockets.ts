import { type AddressFamily, familyOf } from "@culvert/stun";
import type { ResolvedConfig } from "./config.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { BindResult, LocalAddress, Millis, RelayedAddress, RelayId } from "./io.ts";
import type { OutputQueue } from "./output-queue.ts";
import { type PortNeed, PortPool } from "./port-pool.ts";
import { type RandomSource, uniformInt } from "./random.ts";

/** A relay socket: open, or being opened. */
export interface RelaySocket {
  readonly id: RelayId;
  readonly family: AddressFamily;
  readonly local: LocalAddress;
  /** As clients and peers know it. */
  readonly relayed: RelayedAddress;
}

export type OpenResult =
  /** One socket; with the need "pair" two, the even port first. */
  | { readonly ok: true; readonly sockets: readonly RelaySocket[] }
  /** No port is free, or none could be bound. */
  | { readonly ok: false };

/** A port that another process holds is left alone for this long. */
const QUARANTINE_MS = 60_000;

interface Place {
  readonly ip: string;
  readonly external: string;
  readonly family: AddressFamily;
  readonly pool: PortPool;
}

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

/** Opens relay sockets on random free ports and closes them. */
export class RelaySockets {
  readonly #config: ResolvedConfig;
  readonly #random: RandomSource;
  readonly #out: OutputQueue;
  readonly #deadlines: Deadlines;
  readonly #places: readonly Place[];
  readonly #placeOf = new Map<RelayId, Place>();
  readonly #openings = new Map<RelayId, Opening>();
  #lastId = 0;

  constructor(config: ResolvedConfig, random: RandomSource, out: OutputQueue, deadlines: Deadlines) {
    this.#config = config;
    this.#random = random;
    this.#out = out;
    this.#deadlines = deadlines;
    this.#places = config.relays.map(({ ip, external = ip, ports = config.ports }) => ({
      ip,
      external,
      family: familyOf(ip),
      pool: new PortPool(
        ports,
        config.listeners.filter(({ address }) => isOn(address.ip, ip)).map(({ address }) => address.port),
      ),
    }));
  }

  supports(family: AddressFamily): boolean {
    return this.#places.some((place) => place.family === family);
  }

  /** How many relayed ports are free. */
  free(family: AddressFamily): number {
    return this.#placesOf(family).reduce((sum, { pool }) => sum + pool.free, 0);
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

  /** The answer to a `Bind`. One that nobody waits for does nothing. */
  handleBound(relay: RelayId, result: BindResult, now: Millis): void {
    const opening = this.#openings.get(relay);
    if (opening === undefined) return;
    this.#openings.delete(relay);
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

  /** Closes a socket; its port is free again. */
  close(socket: RelaySocket): void {
    const place = this.#placeOf.get(socket.id);
    if (place === undefined) return;
    this.#placeOf.delete(socket.id);
    this.#openings.delete(socket.id);
    this.#out.push({ type: "unbind", relay: socket.id });
    place.pool.release(socket.local.port);
  }

  #attempt(opening: Opening, now: Millis): void {
    opening.sockets = [];
    opening.failed = false;
    const taken = opening.attemptsLeft > 0 ? this.#take(opening.family, opening.need) : undefined;
    opening.attemptsLeft--;
    if (taken === undefined) {
      this.#deadlines.remove(opening.deadline);
      opening.done({ ok: false }, now);
      return;
    }
    const ports = opening.need === "pair" ? [taken.port, taken.port + 1] : [taken.port];
    opening.sockets = ports.map((port) => this.#bind(taken.place, port, opening));
  }

  #bind(place: Place, port: number, opening: Opening): RelaySocket {
    const id = ++this.#lastId;
    const local = { ip: place.ip, port };
    this.#placeOf.set(id, place);
    this.#openings.set(id, opening);
    opening.awaiting.add(id);
    this.#out.push({ type: "bind", relay: id, local });
    return { id, family: place.family, local, relayed: { ip: place.external, port } };
  }

  /** Of all free ports on all addresses each is equally likely, as long as one on the chosen address will do. */
  #take(family: AddressFamily, need: PortNeed): { place: Place; port: number } | undefined {
    const candidates = this.#placesOf(family).filter(({ pool }) => pool.free > 0);
    while (candidates.length > 0) {
      const free = candidates.reduce((sum, { pool }) => sum + pool.free, 0);
      let rest = uniformInt(this.#random, free);
      const index = candidates.findIndex(({ pool }) => {
        rest -= pool.free;
        return rest < 0;
      });
      const [place] = candidates.splice(index, 1);
      const port = place?.pool.take(need, this.#random);
      if (place !== undefined && port !== undefined) return { place, port };
    }
    return undefined;
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

  #placesOf(family: AddressFamily): Place[] {
    return this.#places.filter((place) => place.family === family);
  }
}

function isOn(listenerIp: string, relayIp: string): boolean {
  return listenerIp === relayIp || listenerIp === "0.0.0.0" || listenerIp === "::";
}
