import { Consent } from "./consent.ts";
import { ContactLog } from "./contact-log.ts";
import type { AcquireOutcome, KeeperOutput, LeaseNumber, Reach, RenewOutcome, SlotKeeperConfig } from "./keeper-io.ts";
import type { LeaseTimes } from "./lease-times.ts";
import { parseSlot, type SlotName } from "./slots.ts";
import { ruleFor, type Witness } from "./takeover.ts";
import type { Heartbeat, Lease, Millis, PeerEntry, SlotView } from "./types.ts";

interface Held {
  readonly slot: SlotName;
  readonly lease: LeaseNumber;
  epoch: number;
  deadline: Millis;
  lapsed: boolean;
}

/**
 * Keeps the leases of a relay's slots: takes them, renews them, lets them lapse, takes them back, takes over those of
 * others. Without clock, sockets or store of its own; all times that go in are on the relay's clock, `offset` is what lies
 * between that and fleet time. After each input the outputs are taken with `pollOutput`, and `handleTimeout` is called no
 * later than `pollTimeout` says.
 */
export class SlotKeeper {
  readonly #config: SlotKeeperConfig;
  readonly #times: LeaseTimes;
  readonly #consent: Consent;
  readonly #contact: ContactLog = new ContactLog();
  readonly #out: KeeperOutput[] = [];
  readonly #held = new Map<SlotName, Held>();
  readonly #acquiring = new Set<SlotName>();
  /** Own slots that are to be had, by what was last seen of the fleet. */
  #missing: Set<SlotName> | undefined;
  readonly #renewals = new Map<number, { readonly sent: Millis; readonly leases: readonly Lease[] }>();
  #reach: Reach = { own: [], ips: new Set() };
  #offset = 0;
  #lastId = 0;
  #generation: string | undefined;
  /** When the renewal that was answered last had been sent. */
  #renewed: Millis = Number.NEGATIVE_INFINITY;
  #nextRenewal: Millis = Number.POSITIVE_INFINITY;
  #nextView: Millis = Number.POSITIVE_INFINITY;
  #witness: Witness | undefined;
  #now: Millis = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(config: SlotKeeperConfig) {
    this.#config = config;
    this.#times = config.times;
    this.#consent = new Consent(config.times);
  }

  /** Begins. The clock is fleet time but for `offset`. */
  start(reach: Reach, now: Millis): void {
    this.#reach = reach;
    this.#nextRenewal = now;
    this.#run(now);
  }

  /** Addresses came or went. */
  setReach(reach: Reach, now: Millis): void {
    this.#reach = reach;
    this.#nextView = Math.min(this.#nextView, now);
    if (this.#config.failover === "address") {
      for (const slot of this.#held.keys()) {
        if (!this.#isHere(slot)) this.#out.push({ type: "displaced", slot });
      }
    }
    this.#run(now);
  }

  /** What to add to the own clock to have fleet time. */
  setOffset(offset: number): void {
    this.#offset = offset;
  }

  /** Looks at the fleet now: something was handed over, or the store is back. */
  look(now: Millis): void {
    this.#nextView = Math.min(this.#nextView, now);
    this.#run(now);
  }

  /** Renews now and not only when it is due, once it has begun. */
  renew(now: Millis): void {
    if (Number.isFinite(this.#nextRenewal)) this.#nextRenewal = Math.min(this.#nextRenewal, now);
    this.#run(now);
  }

  handleTimeout(now: Millis): void {
    this.#run(now);
  }

  handleRenewed(id: number, result: RenewOutcome, now: Millis): void {
    const renewal = this.#renewals.get(id);
    if (renewal === undefined) return;
    this.#renewals.delete(id);
    const { sent, leases } = renewal;
    const wasAway = !this.#contact.reaches;
    this.#contact.reached(this.#fleet(sent), this.#fleet(now));
    this.#renewed = Math.max(this.#renewed, sent);
    this.#witness = { sentAt: this.#fleet(sent), contact: this.#contact.toldAt(this.#fleet(sent)) };
    this.#lapse(now);
    const lost = new Set(result.lost);
    const reasserted = new Set(result.reasserted);
    for (const { slot, epoch } of leases) {
      const held = this.#held.get(slot);
      // What was sent before the slot was taken anew says nothing about it.
      if (held?.epoch !== epoch) continue;
      if (lost.has(slot)) this.#lose(slot, "taken", now);
      else if (!held.lapsed || !reasserted.has(slot)) this.#prolong(held, this.#deadlineOf(sent), now);
    }
    const isNew = this.#generation !== undefined && this.#generation !== result.generation;
    this.#generation = result.generation;
    const unsure = isNew ? [...this.#held.keys()] : result.reasserted;
    if (unsure.length > 0) this.#out.push({ type: "republish", slots: unsure });
    if (wasAway) {
      this.#out.push({ type: "beat", reachesStore: true });
      this.#nextView = now;
    }
    this.#run(now);
  }

  /** No answer, an error, or one that took longer than `timeout`. A late answer may still come. */
  handleRenewFailed(id: number, now: Millis): void {
    if (!this.#renewals.has(id)) return;
    this.#disconnected(now);
    this.#nextRenewal = Math.min(this.#nextRenewal, now + this.#times.interval / 3);
    this.#run(now);
  }

  /** The connection to the store is gone, or leads to another server now. */
  handleDisconnected(now: Millis): void {
    this.#disconnected(now);
    this.#nextRenewal = now;
    this.#run(now);
  }

  handleAcquired(
    output: { readonly slot: SlotName; readonly sentAt: Millis },
    outcome: AcquireOutcome,
    now: Millis,
  ): void {
    const { slot, sentAt } = output;
    this.#acquiring.delete(slot);
    if (this.#stopped) {
      if (outcome.ok === true) this.#out.push({ type: "release", lease: outcome.lease });
      return;
    }
    this.#lapse(now);
    const held = this.#held.get(slot);
    if (outcome.ok === true) {
      if (held === undefined) this.#gain(slot, outcome, sentAt, now);
      else this.#resume(held, outcome, sentAt, now);
    } else if (outcome.ok === false && outcome.holder === undefined) {
      this.#nextView = Math.min(this.#nextView, now + outcome.expiresInMs + 1);
    } else if (outcome.ok === false && outcome.holder !== undefined && held?.lapsed === true) {
      this.#lose(slot, "taken", now);
    }
    this.#run(now);
  }

  handleView(
    view: { readonly relays: readonly PeerEntry[]; readonly slots?: readonly SlotView[] },
    sentAt: Millis,
    now: Millis,
  ): void {
    const others = view.relays.filter(({ identity }) => identity !== this.#config.identity);
    this.#consent.see(others, this.#fleet(sentAt));
    const isFresh = now - sentAt <= this.#times.timeout;
    if (view.slots !== undefined && isFresh && this.#contact.reaches) this.#consider(view.slots, others, now);
    this.#run(now);
  }

  /** From another relay, and known to be. */
  handleHeartbeat(heartbeat: Heartbeat, now: Millis): void {
    this.#consent.hear(heartbeat);
    this.#run(now);
  }

  /** Gives a slot up, to a relay or to anybody. Nothing may be relayed for it any more when this is called. */
  release(slot: SlotName, to: string | undefined, now: Millis): void {
    const held = this.#held.get(slot);
    if (held === undefined) return;
    const { epoch } = held;
    this.#lose(slot, "released", now);
    this.#out.push({ type: "release", lease: { slot, epoch }, ...(to === undefined ? {} : { to }) });
  }

  /** Takes and renews nothing any more, and gives up all slots. */
  stop(now: Millis): void {
    for (const slot of [...this.#held.keys()]) this.release(slot, undefined, now);
    this.#stopped = true;
  }

  pollOutput(): KeeperOutput | undefined {
    return this.#out.shift();
  }

  pollTimeout(): Millis | undefined {
    if (this.#stopped) return undefined;
    let next = Math.min(this.#nextRenewal, this.#nextView);
    for (const held of this.#held.values()) {
      if (held.lapsed) continue;
      const judge = this.#judgeAt(held);
      next = Math.min(next, judge > this.#now ? judge : held.deadline);
    }
    return Number.isFinite(next) ? next : undefined;
  }

  /** Whether the last renewal was answered. */
  get reachesStore(): boolean {
    return this.#contact.reaches;
  }

  /** The slots held, lapsed ones too. */
  *held(): IterableIterator<{ readonly slot: SlotName; readonly epoch: number; readonly lapsed: boolean }> {
    yield* this.#held.values();
  }

  /** The epoch to write with; undefined when the slot is not held or has lapsed. */
  epochOf(slot: SlotName): number | undefined {
    const held = this.#held.get(slot);
    return held === undefined || held.lapsed ? undefined : held.epoch;
  }

  /** Whether the relay has all of its own slots that nobody else has, up to its limit. Not before it has seen the fleet. */
  get settled(): boolean {
    if (this.#missing === undefined || this.#acquiring.size > 0) return false;
    return [...this.#missing].every((slot) => this.#held.get(slot)?.lapsed === false);
  }

  /** Whether the slots that are the relay's own, up to its limit, are all held. */
  get #complete(): boolean {
    const own = this.#ownHere();
    const wanted = Math.min(own.length, this.#config.maxSlots ?? own.length);
    return this.#counted >= wanted && [...this.#held.values()].every(({ lapsed }) => !lapsed);
  }

  /** The slots that count towards the limit. Those of an address that the relay has no more are on their way out. */
  get #counted(): number {
    if (this.#config.failover === "address") return this.#held.size;
    const own = new Set(this.#reach.own);
    return [...this.#held.keys()].filter((slot) => own.has(slot)).length;
  }

  #run(now: Millis): void {
    if (this.#stopped) return;
    this.#now = now;
    this.#lapse(now);
    if (now >= this.#nextRenewal) this.#renew(now);
    if (now >= this.#nextView) this.#view(now);
  }

  #renew(now: Millis): void {
    const id = ++this.#lastId;
    for (const [old, { sent }] of this.#renewals) if (sent < now - this.#times.ttl) this.#renewals.delete(old);
    this.#nextRenewal = now + this.#times.interval;
    const sentAt = this.#fleet(now);
    const leases = [...this.#held.values()].filter(({ lapsed }) => !lapsed).map(({ slot, epoch }) => ({ slot, epoch }));
    this.#renewals.set(id, { sent: now, leases });
    this.#out.push({ type: "renew", id, leases, contact: this.#contact.toldAt(sentAt), sentAt });
  }

  #view(now: Millis): void {
    this.#nextView = now + this.#times.interval;
    const slots = this.#config.failover === "address" || !this.#complete;
    this.#out.push({ type: "view", sentAt: now, slots });
  }

  #acquire(slot: SlotName, rule: "same-identity" | "expired", now: Millis): void {
    if (this.#acquiring.has(slot)) return;
    this.#acquiring.add(slot);
    this.#out.push({ type: "acquire", slot, rule, sentAt: now });
  }

  #disconnected(now: Millis): void {
    const reached = this.#contact.reaches;
    this.#contact.lost();
    if (reached) this.#out.push({ type: "beat", reachesStore: false });
    this.#lapse(now);
  }

  /** Extends by consent what would lapse, and lets lapse what is past its deadline. */
  #lapse(now: Millis): void {
    for (const held of this.#held.values()) {
      if (held.lapsed || now < this.#judgeAt(held)) continue;
      if (now < held.deadline && this.#mayGoOn(now)) {
        this.#extend(held, Math.min(now + this.#times.step, this.#renewed + this.#times.outage));
      }
      if (now < held.deadline) continue;
      held.lapsed = true;
      this.#out.push({ type: "lapsed", slot: held.slot });
    }
  }

  #mayGoOn(now: Millis): boolean {
    if (this.#contact.reaches) return false;
    return this.#consent.given(this.#fleet(now), this.#fleet(this.#renewed));
  }

  /** When it has to be decided whether a lease goes on: a little before its end, then at its end. */
  #judgeAt(held: Held): Millis {
    return this.#contact.reaches ? held.deadline : held.deadline - this.#times.step / 2;
  }

  /** Renewed, and still ours: a lease that lapsed meanwhile is good again. */
  #prolong(held: Held, deadline: Millis, now: Millis): void {
    this.#extend(held, deadline);
    if (!held.lapsed || now >= held.deadline) return;
    held.lapsed = false;
    this.#out.push({ type: "resumed", slot: held.slot });
  }

  #extend(held: Held, deadline: Millis): void {
    if (deadline <= held.deadline) return;
    held.deadline = deadline;
    this.#out.push({ type: "deadline", lease: held.lease, slot: held.slot, deadline });
  }

  #deadlineOf(sent: Millis): Millis {
    return sent + this.#times.ttl - this.#times.margin;
  }

  #gain(slot: SlotName, { lease, previous }: AcquireOutcome & { ok: true }, sentAt: Millis, now: Millis): void {
    const deadline = this.#deadlineOf(sentAt);
    if (deadline <= now) {
      // The answer took a lease's time. Whoever needs it may have it.
      this.#out.push({ type: "release", lease });
      return;
    }
    const held: Held = { slot, lease: ++this.#lastId, epoch: lease.epoch, deadline, lapsed: false };
    this.#held.set(slot, held);
    this.#missing?.delete(slot);
    this.#out.push({
      type: "gained",
      slot,
      lease: held.lease,
      epoch: held.epoch,
      deadline,
      ...(previous === undefined ? {} : { previous }),
    });
  }

  #resume(held: Held, { lease, previous }: AcquireOutcome & { ok: true }, sentAt: Millis, now: Millis): void {
    if (previous !== undefined && previous.instance !== this.#config.instance) {
      // Another one had it in between; what lives here is old.
      this.#lose(held.slot, "taken", now);
      this.#gain(held.slot, { ok: true, lease, previous }, sentAt, now);
      return;
    }
    held.epoch = lease.epoch;
    this.#prolong(held, this.#deadlineOf(sentAt), now);
    this.#out.push({ type: "republish", slots: [held.slot] });
  }

  #lose(slot: SlotName, reason: "taken" | "released", now: Millis): void {
    const held = this.#held.get(slot);
    if (held === undefined) return;
    this.#held.delete(slot);
    this.#out.push(
      { type: "deadline", lease: held.lease, slot, deadline: Math.min(now, held.deadline) },
      { type: "lost", slot, lease: held.lease, reason },
    );
  }

  /** Takes what may be taken. */
  #consider(slots: readonly SlotView[], others: readonly PeerEntry[], now: Millis): void {
    const views = new Map(slots.map((view) => [view.slot, view]));
    const witnesses: Witness[] = this.#witness === undefined ? [...others] : [...others, this.#witness];
    let room = (this.#config.maxSlots ?? Number.POSITIVE_INFINITY) - this.#counted - this.#acquiring.size;
    this.#missing = new Set();
    for (const slot of this.#candidates(views)) {
      if (this.#acquiring.has(slot) || this.#held.get(slot)?.lapsed === false) continue;
      const view = views.get(slot);
      if (this.#held.has(slot) && view !== undefined && view.instance !== this.#config.instance) {
        this.#lose(slot, "taken", now);
      }
      const rule = ruleFor(this.#config, view, witnesses, this.#fleet(now));
      // An owner that ended without a word leaves allocations behind; they are worth more than the limit.
      const orphaned = this.#held.has(slot) || (view !== undefined && view.releasedTo !== "");
      if (rule === undefined || (room <= 0 && !orphaned)) continue;
      room--;
      if (rule === "same-identity") this.#missing.add(slot);
      this.#acquire(slot, rule, now);
    }
  }

  *#candidates(views: ReadonlyMap<SlotName, SlotView>): IterableIterator<SlotName> {
    for (const { slot, lapsed } of [...this.#held.values()]) if (lapsed) yield slot;
    yield* this.#ownHere();
    if (this.#config.failover !== "address") return;
    const own = new Set(this.#reach.own);
    for (const slot of views.keys()) if (!own.has(slot) && this.#isHere(slot)) yield slot;
  }

  /** Where addresses move, the own ones may be elsewhere now. */
  #ownHere(): readonly SlotName[] {
    const { own } = this.#reach;
    return this.#config.failover === "address" ? own.filter((slot) => this.#isHere(slot)) : own;
  }

  #isHere(slot: SlotName): boolean {
    return this.#reach.ips.has(parseSlot(slot)?.ip ?? "");
  }

  #fleet(own: Millis): Millis {
    return own + this.#offset;
  }
}
