import {
  beginsAsChannelData,
  checkFingerprint,
  decodeChannelData,
  decodeMessage,
  type StunCrypto,
} from "@culvert/stun";
import { AllocateAttempts } from "./allocate-attempts.ts";
import { Allocations } from "./allocations.ts";
import type { Alternate } from "./alternates.ts";
import { Asks } from "./asks.ts";
import type { Authenticator } from "./authenticator.ts";
import { handleChannelData } from "./client-data.ts";
import {
  changedConfig,
  guessRate,
  type ListenerConfig,
  type LiveConfig,
  type RelayAddressConfig,
  type ResolvedConfig,
  resolveConfig,
  type TurnServerConfig,
  unauthenticatedRate,
} from "./config.ts";
import type { Core, Draining } from "./core.ts";
import { Deadlines } from "./deadlines.ts";
import { dispatch } from "./dispatch.ts";
import { formerRelays } from "./former-relays.ts";
import { Guesses } from "./guesses.ts";
import type { BindResult, ClientTuple, IcmpError, ListenerId, Millis, PeerAddress, RelayId } from "./io.ts";
import { type AllocationInfo, infoOf } from "./listing.ts";
import { LongTermKeys } from "./long-term-keys.ts";
import { Nonces } from "./nonce.ts";
import { OutputQueue } from "./output-queue.ts";
import type { Answer, Output, Owner } from "./outputs.ts";
import { handlePeerData, handlePeerIcmp } from "./peer-data.ts";
import { PeerGuard } from "./peer-guard.ts";
import type { PeerPolicy } from "./peer-policy.ts";
import { recheckPermission } from "./permissions.ts";
import type { SlotConfig } from "./places.ts";
import { Quotas } from "./quotas.ts";
import type { RandomSource } from "./random.ts";
import { SourceLimiter } from "./rate-limit.ts";
import { RelaySockets } from "./relay-sockets.ts";
import { Reservations } from "./reservations.ts";
import { type RestoreOptions, Restores } from "./restore.ts";
import { type AllocationSnapshot, snapshotOf } from "./snapshot.ts";
import { Tickets } from "./tickets.ts";

/** What a TURN server needs from its surroundings. */
export interface TurnServerPorts {
  readonly crypto: StunCrypto;
  readonly random: RandomSource;
  readonly authenticator: Authenticator;
}

/** Whose allocations are to end. What is left out matches all. */
export interface RevocationSubject {
  readonly tenant: string;
  /** The application's id of the user. */
  readonly user?: string;
  /** One credential. */
  readonly username?: string;
  /** All credentials of one signing key. */
  readonly kid?: string;
}

/**
 * A TURN server (RFC 8656) without sockets, clock or randomness of its own. Inputs go in by the `handle…` methods, at a
 * time that never steps back; afterwards the caller takes all outputs with `pollOutput` and calls `handleTimeout` no
 * later than `pollTimeout` says. No input makes it throw.
 */
export class TurnServer {
  readonly #core: Core & {
    readonly listeners: Map<ListenerId, ListenerConfig>;
    config: ResolvedConfig;
    draining: Draining | undefined;
    alternates: readonly Alternate[];
  };
  #relays: readonly RelayAddressConfig[];
  #slots: readonly SlotConfig[] = [];

  constructor(config: TurnServerConfig, ports: TurnServerPorts) {
    const resolved = resolveConfig(config);
    const { limits } = resolved;
    const { crypto, random, authenticator } = ports;
    const out = new OutputQueue();
    const deadlines = new Deadlines();
    this.#relays = resolved.relays;
    const sockets = new RelaySockets(resolved, random, out, deadlines);
    const quotas = new Quotas(limits);
    this.#core = {
      config: resolved,
      listeners: new Map(resolved.listeners.map((listener) => [listener.id, listener])),
      crypto,
      random,
      authenticator,
      out,
      deadlines,
      nonces: new Nonces(
        {
          keys: resolved.nonceKeys,
          lifetimeMs: resolved.nonceLifetimeSeconds * 1000,
          passwordAlgorithms: resolved.passwordAlgorithms.length > 0,
          userHash: authenticator.supportsUserHash === true,
        },
        crypto,
      ),
      keys: new LongTermKeys(resolved.realm, crypto),
      limiter: new SourceLimiter(unauthenticatedRate(limits), random),
      guesses: new Guesses(guessRate(limits)),
      guard: new PeerGuard(resolved),
      sockets,
      quotas,
      reservations: new Reservations(sockets, quotas, deadlines, random),
      asks: new Asks(limits, out, deadlines),
      attempts: new AllocateAttempts(),
      allocations: new Allocations(out, deadlines, sockets, quotas, resolved.changes),
      restores: new Restores(),
      tickets: new Tickets(
        resolved.ticketKeys ?? [random.bytes(32)],
        resolved.ticketLifetimeSeconds * 1000,
        crypto,
        random,
      ),
      alternates: [],
      draining: undefined,
    };
  }

  /** A datagram or a frame from a client. `bytes` belong to the server from now on. */
  handleClientInput(client: ClientTuple, bytes: Uint8Array, now: Millis): void {
    const core = this.#core;
    core.deadlines.run(now);
    const listener = core.listeners.get(client.listener);
    if (listener === undefined) {
      core.out.dropped("unknown-listener");
      return;
    }
    if (beginsAsChannelData(bytes)) {
      const channelData = decodeChannelData(bytes);
      if (channelData === undefined) {
        core.out.dropped("malformed");
        return;
      }
      handleChannelData(core, client, channelData, now);
      return;
    }
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) {
      core.out.dropped("malformed");
      return;
    }
    if (checkFingerprint(decoded.message) === "invalid") {
      core.out.dropped("fingerprint");
      return;
    }
    dispatch(core, { client, listener, message: decoded.message, receivedAt: now, now });
  }

  /** A datagram that a relay socket received. */
  handlePeerInput(relay: RelayId, from: PeerAddress, bytes: Uint8Array, now: Millis): void {
    this.#core.deadlines.run(now);
    const target = this.#core.allocations.relay(relay);
    if (target === undefined) {
      this.#core.out.dropped("unknown-relay");
      return;
    }
    handlePeerData(this.#core, target, from, bytes, now);
  }

  /** An ICMP error for what a relay socket sent. */
  handlePeerError(relay: RelayId, peer: PeerAddress, icmp: IcmpError, now: Millis): void {
    this.#core.deadlines.run(now);
    const target = this.#core.allocations.relay(relay);
    if (target === undefined) {
      this.#core.out.dropped("unknown-relay");
      return;
    }
    handlePeerIcmp(this.#core, target, peer, icmp);
  }

  /** The answer to a `Bind`. */
  handleBound(relay: RelayId, result: BindResult, now: Millis): void {
    this.#core.deadlines.run(now);
    this.#core.sockets.handleBound(relay, result, now);
  }

  /** The stream of a client ended; its allocation ends with it. */
  handleClientClosed(client: ClientTuple, now: Millis): void {
    const core = this.#core;
    core.deadlines.run(now);
    core.attempts.cancel(core, client, now);
    core.asks.cancelClient(client);
    core.restores.cancelClient(core, client);
    const allocation = core.allocations.get(client);
    if (allocation !== undefined) core.allocations.streamEnded(allocation, client, now);
  }

  /** The answer to an `Ask`. One that is not asked, any more, does nothing. */
  handleAnswer(id: number, answer: Answer, now: Millis): void {
    this.#core.deadlines.run(now);
    this.#core.asks.handleAnswer(id, answer, now);
  }

  /** Does what is due. */
  handleTimeout(now: Millis): void {
    this.#core.deadlines.run(now);
  }

  /** When `handleTimeout` has to be called next; undefined: not before another input. */
  pollTimeout(): Millis | undefined {
    return this.#core.deadlines.next();
  }

  /** The next thing to do; undefined: nothing. */
  pollOutput(): Output | undefined {
    return this.#core.out.shift();
  }

  /** Changes who may be a peer, for live permissions and channels too. */
  setPolicy(policy: PeerPolicy, now: Millis): void {
    const core = this.#core;
    core.deadlines.run(now);
    core.guard.setPolicy(policy);
    this.#recheckPermissions();
  }

  /**
   * Changes which relayed ports are this server's, where they come in slots. What has a port of a slot that is not among
   * them, or is there under another lease, ends with `reason`: its slot is lost, or is another server's to carry on.
   */
  setSlots(slots: readonly SlotConfig[], now: Millis, reason: "fenced" | "handed-over" = "fenced"): void {
    const core = this.#core;
    core.deadlines.run(now);
    const lost = core.sockets.setSlots(slots, now);
    if (lost.size > 0) {
      core.restores.lose(core, lost);
      core.attempts.lose(core, lost, now);
      core.reservations.lose(lost);
      const ending = new Set([...lost].flatMap((relay) => core.allocations.relay(relay)?.allocation ?? []));
      for (const allocation of ending) core.allocations.delete(allocation, reason);
    }
    this.#slots = slots;
    this.#tellGuard();
  }

  /**
   * Changes what the addresses of this host are called outside: `external` of each. Allocations that live keep the relayed
   * address that their clients were told. Returns how many such addresses are in use still: call it again with the same
   * ones when allocations have ended, so that the address of another host by then is not taken for an own one.
   */
  setRelays(relays: readonly RelayAddressConfig[], now: Millis): number {
    const core = this.#core;
    core.deadlines.run(now);
    this.#relays = relays;
    core.sockets.setRelays(relays);
    return this.#tellGuard();
  }

  /**
   * Changes limits, lifetimes and the like for what comes from now on. What was granted stays: nobody loses an allocation, a
   * permission or a channel to a lower limit.
   */
  reconfigure(live: LiveConfig): void {
    const core = this.#core;
    core.config = changedConfig(core.config, live);
    const { limits } = core.config;
    core.quotas.setLimits(limits);
    core.limiter.setRate(unauthenticatedRate(limits));
    core.guesses.setRate(guessRate(limits));
  }

  /** One more listener: clients of another server, whose address has come here. Peers are never it, as with the others. */
  addListener(listener: ListenerConfig): void {
    this.#core.listeners.set(listener.id, listener);
    this.#core.guard.addListener(listener);
  }

  /** Changes where clients are sent for whom there is no room here. The best first, and none that is full. */
  setAlternates(alternates: readonly Alternate[]): void {
    this.#core.alternates = alternates;
  }

  /** Changes the keys of nonces. Keep the old first one as second for as long as nonces live. */
  setNonceKeys(keys: readonly Uint8Array[]): void {
    this.#core.nonces.setKeys(keys);
  }

  /** Changes the keys of mobility tickets. Keep the old first one as second for as long as its tickets are to be good. */
  setTicketKeys(keys: readonly Uint8Array[]): void {
    this.#core.tickets.setKeys(keys);
  }

  /**
   * Whether requests and data of this 5-tuple are this server's: it has an allocation, or is making or restoring one. Of
   * all others the fleet may know whose they are: by the 5-tuple, by the ticket of a Refresh (`readTicket`), and by the
   * CONNECTION-ID of a ConnectionBind (RFC 6062), which arrives on a 5-tuple of its own.
   */
  owns(client: ClientTuple): boolean {
    const { allocations, attempts, restores } = this.#core;
    return allocations.get(client) !== undefined || attempts.get(client) !== undefined || restores.has(client);
  }

  /** All that another server needs to carry an allocation on. Undefined when it is over. Ends the wait of `Changed`. */
  snapshot(allocation: number): AllocationSnapshot | undefined {
    const found = this.#core.allocations.withId(allocation);
    if (found === undefined) return undefined;
    found.changed = false;
    return snapshotOf(found);
  }

  /**
   * Carries on an allocation of another server: binds the same ports, and installs what was there, as far as policy,
   * quotas and limits of today let it. Until then its client's requests wait. Comes to the event `allocation-restored` or
   * `restore-failed`, whatever the snapshot is.
   */
  restore(snapshot: AllocationSnapshot, now: Millis, options: RestoreOptions = {}): void {
    this.#core.deadlines.run(now);
    this.#core.restores.start(this.#core, snapshot, options, now);
  }

  /** The allocation of this name in the fleet. Undefined when it is not here. */
  find(record: string): AllocationInfo | undefined {
    const allocation = this.#core.allocations.withRecord(record);
    return allocation === undefined ? undefined : infoOf(allocation);
  }

  /** From now on new allocations are refused; those that live go on. Undefined: take new ones again. */
  setDraining(draining: Draining | undefined): void {
    this.#core.draining = draining;
  }

  /** Ends the allocations and reservations of a subject. Returns how many allocations. */
  revoke(subject: RevocationSubject, now: Millis): number {
    const core = this.#core;
    core.deadlines.run(now);
    const matches = (owner: Owner, username?: string): boolean =>
      owner.tenant === subject.tenant &&
      (subject.user === undefined || owner.user === subject.user) &&
      (subject.kid === undefined || owner.kid === subject.kid) &&
      (subject.username === undefined || username === subject.username);
    core.attempts.revoke(core, matches, now);
    core.restores.revoke(core, matches);
    core.reservations.revoke(matches);
    const ending = [...core.allocations].filter(({ owner, username }) => matches(owner, username));
    for (const allocation of ending) {
      core.allocations.delete(allocation, "revoked");
      core.out.push({ type: "close", client: allocation.client });
    }
    return ending.length;
  }

  /** Ends the allocation that a relay socket belongs to. Returns whether there was one. */
  terminate(relay: RelayId, now: Millis): boolean {
    const core = this.#core;
    core.deadlines.run(now);
    const allocation = core.allocations.relay(relay)?.allocation;
    if (allocation === undefined) return false;
    core.allocations.delete(allocation, "terminated");
    core.out.push({ type: "close", client: allocation.client });
    return true;
  }

  /** Requests that wait for their relay sockets, or for what another process decides. */
  get waiting(): number {
    const { attempts, asks } = this.#core;
    // Of an Allocate that waits for its admission both tell.
    return Math.max(attempts.size, asks.size);
  }

  /** Relayed ports: those that there are, and those of them that are taken or not to be had for now. */
  get ports(): { readonly capacity: number; readonly used: number } {
    return this.#core.sockets.ports();
  }

  /** The number of allocations. */
  get size(): number {
    return this.#core.allocations.size;
  }

  /** All allocations as they are now. */
  *list(): IterableIterator<AllocationInfo> {
    for (const allocation of [...this.#core.allocations]) yield infoOf(allocation);
  }

  /** Tells the guard which relayed addresses are here. Returns how many of them are former ones. */
  #tellGuard(): number {
    const { config, guard, allocations } = this.#core;
    const relays = this.#relays.map(({ ports = config.ports, ...relay }) => ({ ...relay, ports }));
    // Those of slots are told with the slots.
    const former = config.slots ? [] : formerRelays(relays, allocations);
    if (guard.setRelays([...former, ...relays, ...this.#slots])) this.#recheckPermissions();
    return former.length;
  }

  #recheckPermissions(): void {
    for (const allocation of this.#core.allocations) {
      for (const relay of allocation.relays.values()) {
        for (const permission of [...relay.permissions.values()]) recheckPermission(this.#core, permission);
      }
    }
  }
}
