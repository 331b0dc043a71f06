import type { TransportAddress } from "@culvert/stun";
import { TurnError } from "./errors.ts";
import type { Timers } from "./timers.ts";

/** What has to be refreshed, and how. Each call rejects when the server refuses. */
export interface Refreshable {
  refresh(): Promise<number>;
  createPermission(ips: readonly string[]): Promise<void>;
  channelBind(peer: TransportAddress): Promise<number>;
  readonly permissions: ReadonlySet<string>;
  readonly channels: ReadonlyMap<number, TransportAddress>;
}

/** Permissions last 300 s, and ChannelBind installs one, too (RFC 8656 sections 9 and 12). */
const PERMISSION_PERIOD_MS = 240_000;
/** How long before its end an allocation is refreshed (RFC 8656 section 8 leaves it to the client). */
const MARGIN_S = 60;
/** A server that could not be reached is asked again after this: it may be starting anew, with all its allocations. */
const RETRY_S = 2;
/** XOR-PEER-ADDRESS attributes a request, so that it fits an unfragmented datagram with IPv6 addresses. */
const ADDRESSES_PER_REQUEST = 32;

/** Refreshes an allocation with its permissions and channels until it is stopped. */
export class KeepAlive {
  readonly #timers: Timers;
  readonly #target: Refreshable;
  readonly #onError: (error: unknown) => void;
  #cancelAllocation: () => void = () => {};
  #cancelPermissions: () => void = () => {};
  #running = false;

  constructor(timers: Timers, target: Refreshable, onError: (error: unknown) => void) {
    this.#timers = timers;
    this.#target = target;
    this.#onError = onError;
  }

  /** `lifetime` is the allocation's, in seconds. */
  start(lifetime: number): void {
    this.stop();
    this.#running = true;
    this.#refreshAfter(lifetime);
    this.#permitAfterPeriod();
  }

  stop(): void {
    this.#running = false;
    this.#cancelAllocation();
    this.#cancelPermissions();
  }

  #refreshAfter(lifetime: number): void {
    const delay = Math.max(lifetime - MARGIN_S, lifetime / 2);
    this.#tryAfter(delay, lifetime - delay);
  }

  /** @param left seconds until the allocation ends, from the attempt on; beyond that there is nothing to refresh */
  #tryAfter(delay: number, left: number): void {
    this.#cancelAllocation = this.#timers.schedule(delay * 1000, () => {
      this.#target.refresh().then(
        (next) => {
          if (this.#running) this.#refreshAfter(next);
        },
        (error: unknown) => {
          this.#onError(error);
          const refused = error instanceof TurnError && error.kind === "response";
          if (this.#running && !refused && left > RETRY_S) this.#tryAfter(RETRY_S, left - RETRY_S);
        },
      );
    });
  }

  #permitAfterPeriod(): void {
    this.#cancelPermissions = this.#timers.schedule(PERMISSION_PERIOD_MS, () => {
      this.#permitAfterPeriod();
      for (const work of this.#renewals()) work.catch(this.#onError);
    });
  }

  #renewals(): Promise<unknown>[] {
    const peers = [...this.#target.channels.values()];
    const covered = new Set(peers.map(({ ip }) => ip));
    const ips = [...this.#target.permissions].filter((ip) => !covered.has(ip));
    const work: Promise<unknown>[] = peers.map((peer) => this.#target.channelBind(peer));
    for (let at = 0; at < ips.length; at += ADDRESSES_PER_REQUEST) {
      work.push(this.#target.createPermission(ips.slice(at, at + ADDRESSES_PER_REQUEST)));
    }
    return work;
  }
}
