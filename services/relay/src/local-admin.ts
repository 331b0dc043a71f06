import type {
  AllocationChange,
  AllocationFilter,
  AllocationPage,
  AllocationStatus,
  PageRequest,
  RelayStatus,
} from "@culvert/contracts";
import type { Clock, DataPlane } from "@culvert/dataplane";
import type { TransportAddress } from "@culvert/stun";
import type { AllocationInfo, Millis, TurnEvent, TurnServer } from "@culvert/turn";
import { AdminError, type AllocationSink, type AllocationWatch, type RelayAdmin } from "./admin.ts";

/** Allocations of one page of a snapshot. */
const SNAPSHOT_PAGE = 200;

export interface LocalAdminOptions {
  readonly identity: string;
  readonly startedAt: Millis;
  /** The most allocations that the relay has room for; 0: not known. */
  readonly capacity: () => number;
  /** Where clients reach the relay. */
  readonly turn: () => readonly TransportAddress[];
  readonly dataPlane: Pick<DataPlane, "relayCounters">;
  readonly clock: Clock;
  /** Hands the TURN server something, and carries out what follows. */
  readonly run: (input: (turn: TurnServer, now: Millis) => void) => void;
  /** Whether the relay stops for good. */
  readonly stopping: () => boolean;
}

interface Live {
  /** Grows with each allocation of this process: the order of lists. */
  readonly serial: number;
  info: AllocationInfo;
}

interface Watcher {
  readonly filter: AllocationFilter;
  readonly sink: AllocationSink;
  /** Whether it has its snapshot. */
  following: boolean;
}

/** {@link RelayAdmin} of one relay, over its TURN server. Told of every event, it knows what to list and what to tell. */
export class LocalAdmin implements RelayAdmin {
  readonly #options: LocalAdminOptions;
  readonly #live = new Map<string, Live>();
  /** The record of each allocation. */
  readonly #records = new Map<number, string>();
  readonly #watchers = new Set<Watcher>();
  readonly #refreshed = new Set<string>();
  #serial = 0;
  #draining = false;

  constructor(options: LocalAdminOptions) {
    this.#options = options;
  }

  /** Whether an operator has the relay refuse new allocations. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Must be called with each event before the commands that follow it are carried out: counters end with their sockets. */
  observe(event: TurnEvent, turn: Pick<TurnServer, "find">): void {
    switch (event.name) {
      case "allocation-created":
      case "allocation-restored":
        this.#created(turn.find(event.record));
        break;
      case "allocation-refreshed":
      case "allocation-moved":
      case "permission-created":
      case "permission-revoked":
      case "channel-created":
      case "relay-deleted":
        this.#changed(event.allocation);
        break;
      case "allocation-deleted":
        this.#deleted(event.record, event.reason);
        break;
    }
  }

  /** Ends all watches. */
  close(): void {
    this.#refreshed.clear();
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const { sink } of watchers) sink.onEnd(new AdminError("unavailable", "the relay has stopped"));
  }

  async relays(): Promise<readonly RelayStatus[]> {
    return [this.#self()];
  }

  async list(filter: AllocationFilter, { limit, after }: PageRequest): Promise<AllocationPage> {
    const from = after === undefined ? 0 : serialOf(after);
    const found: Live[] = [];
    for (const live of this.#live.values()) {
      if (live.serial <= from || !this.#matches(live.info, filter)) continue;
      found.push(live);
      // One more than asked for: to know whether there is a next page.
      if (found.length > limit) break;
    }
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return {
      allocations: this.#current(page).map(({ info }) => this.#status(info)),
      ...(found.length > limit && last !== undefined ? { next: String(last.serial) } : {}),
    };
  }

  async get(id: string): Promise<AllocationStatus> {
    const live = this.#live.get(id);
    if (live === undefined) throw notFound(id);
    this.#current([live]);
    return this.#status(live.info);
  }

  watch(filter: AllocationFilter, sink: AllocationSink): AllocationWatch {
    const watcher: Watcher = { filter, sink, following: false };
    this.#watchers.add(watcher);
    queueMicrotask(() => this.#tellAll(watcher));
    return { close: () => void this.#watchers.delete(watcher) };
  }

  async terminate(id: string): Promise<void> {
    let ended = false;
    this.#options.run((turn, now) => {
      const [relay] = turn.find(id)?.relays ?? [];
      ended = relay !== undefined && turn.terminate(relay.relay, now);
    });
    if (!ended) throw notFound(id);
  }

  async drain(identity: string): Promise<RelayStatus> {
    return this.#setDraining(identity, true);
  }

  async undrain(identity: string): Promise<RelayStatus> {
    if (this.#options.stopping() && identity === this.#options.identity) {
      throw new AdminError("stopping", `${identity} is stopping and takes no new allocations any more`);
    }
    return this.#setDraining(identity, false);
  }

  #setDraining(identity: string, draining: boolean): RelayStatus {
    if (identity !== this.#options.identity) {
      throw new AdminError("not-found", `there is no relay ${identity}; this one is ${this.#options.identity}`);
    }
    this.#draining = draining;
    if (!this.#options.stopping()) this.#options.run((turn) => turn.setDraining(draining ? {} : undefined));
    return this.#self();
  }

  #self(): RelayStatus {
    const { identity, startedAt, capacity, turn, stopping } = this.#options;
    const state = this.#draining || stopping() ? "draining" : "serving";
    return { identity, state, startedAt, allocations: this.#live.size, capacity: capacity(), turn: turn(), slots: [] };
  }

  #created(info: AllocationInfo | undefined): void {
    if (info === undefined) return;
    this.#serial += 1;
    this.#live.set(info.record, { serial: this.#serial, info });
    this.#records.set(info.allocation, info.record);
    this.#tell(info, () => ({ type: "created", allocation: this.#status(info) }));
  }

  #changed(allocation: number): void {
    const record = this.#records.get(allocation);
    if (this.#watchers.size === 0 || record === undefined) return;
    // One request may change several things: it is told once, as it is after it.
    if (this.#refreshed.size === 0) queueMicrotask(() => this.#tellRefreshed());
    this.#refreshed.add(record);
  }

  #deleted(record: string, reason: string): void {
    const live = this.#live.get(record);
    if (live === undefined) return;
    this.#live.delete(record);
    this.#records.delete(live.info.allocation);
    this.#refreshed.delete(record);
    this.#tell(live.info, () => ({ type: "deleted", allocation: this.#status(live.info), reason }));
  }

  #tellRefreshed(): void {
    const lives = [...this.#refreshed].flatMap((record) => this.#live.get(record) ?? []);
    this.#refreshed.clear();
    for (const { info } of this.#current(lives)) {
      this.#tell(info, () => ({ type: "refreshed", allocation: this.#status(info) }));
    }
  }

  #tell(info: AllocationInfo, change: () => AllocationChange): void {
    for (const { filter, sink, following } of [...this.#watchers]) {
      if (following && this.#matches(info, filter)) sink.onChange(change());
    }
  }

  #tellAll(watcher: Watcher): void {
    if (!this.#watchers.has(watcher)) return;
    const { filter, sink } = watcher;
    watcher.following = true;
    const lives = [...this.#live.values()].filter(({ info }) => this.#matches(info, filter));
    const all = this.#current(lives).map(({ info }) => this.#status(info));
    for (let at = 0; at === 0 || at < all.length; at += SNAPSHOT_PAGE) {
      const allocations = all.slice(at, at + SNAPSHOT_PAGE);
      sink.onChange({ type: "snapshot", allocations, first: at === 0, last: at + SNAPSHOT_PAGE >= all.length });
    }
  }

  /** Brings what is known of some allocations up to now. */
  #current(lives: readonly Live[]): readonly Live[] {
    this.#options.run((turn) => {
      for (const live of lives) live.info = turn.find(live.info.record) ?? live.info;
    });
    return lives;
  }

  #matches({ tenant, user }: AllocationInfo, filter: AllocationFilter): boolean {
    return (
      (filter.tenant ?? tenant) === tenant &&
      (filter.user ?? user) === user &&
      (filter.relay ?? this.#options.identity) === this.#options.identity
    );
  }

  #status(info: AllocationInfo): AllocationStatus {
    const { dataPlane, identity, clock } = this.#options;
    const traffic = { packetsToPeers: 0, bytesToPeers: 0, packetsToClient: 0, bytesToClient: 0, readAt: clock() };
    for (const { relay } of info.relays) {
      const counters = dataPlane.relayCounters(relay);
      for (const name of COUNTERS) traffic[name] += counters?.[name] ?? 0;
    }
    const { ip, port } = info.client.remote;
    return {
      id: info.record,
      relay: identity,
      tenant: info.tenant,
      user: info.user,
      username: info.username,
      ...(info.kid === undefined ? {} : { kid: info.kid }),
      transport: info.transport,
      client: { ip, port },
      createdAt: info.createdAt,
      relayed: info.relays.map(({ relayed, deadline, permissions, channels }) => ({
        address: { ip: relayed.ip, port: relayed.port },
        expiresAt: deadline,
        permissions: permissions.map((permission) => ({ ip: permission.ip, expiresAt: permission.deadline })),
        channels: channels.map((each) => ({ number: each.channel, peer: each.peer, expiresAt: each.deadline })),
      })),
      traffic,
    };
  }
}

const COUNTERS = ["packetsToPeers", "bytesToPeers", "packetsToClient", "bytesToClient"] as const;

const notFound = (id: string): AdminError => new AdminError("not-found", `there is no allocation ${id}`);

function serialOf(token: string): number {
  if (!/^\d{1,15}$/.test(token)) throw new AdminError("bad-page", "the page token is not one that this relay gave out");
  return Number(token);
}
