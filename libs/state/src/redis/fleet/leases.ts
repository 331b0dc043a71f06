import type {
  AcquireResult,
  AcquireRule,
  FleetTime,
  Lease,
  LeaseClaim,
  RelayEntry,
  Renewal,
  RenewResult,
  SlotState,
} from "../../fleet/port.ts";
import type { RedisLink } from "../link.ts";
import { integer, list, text, texts } from "../reply.ts";
import { FLEET_SCRIPTS } from "./scripts.ts";

/** Leases and the registry of relays. */
export class RedisLeases {
  readonly #link: RedisLink;

  constructor(link: RedisLink) {
    this.#link = link;
  }

  async time(): Promise<FleetTime> {
    return integer(await this.#link.run(FLEET_SCRIPTS.time));
  }

  async acquire(claim: LeaseClaim, rule: AcquireRule, ttlMs: number): Promise<AcquireResult> {
    const words = [claim.slot, claim.identity, claim.instance, claim.host, rule, Math.round(ttlMs)];
    const [ok, value, ...holder] = list(await this.#link.run(FLEET_SCRIPTS.acquire, ...words));
    const known = holder.length > 0;
    if (integer(ok) === 1) {
      const lease = { slot: claim.slot, epoch: integer(value) };
      if (!known) return { ok: true, lease };
      const [identity, instance, released] = holder;
      const previous = { identity: text(identity), instance: text(instance), released: integer(released) === 1 };
      return { ok: true, lease, previous };
    }
    const expiresInMs = integer(value);
    if (!known) return { ok: false, expiresInMs };
    const [owner, process, place, epoch] = holder;
    return {
      ok: false,
      holder: { identity: text(owner), instance: text(process), host: text(place), epoch: integer(epoch) },
      expiresInMs,
    };
  }

  async renew(entry: RelayEntry, leases: readonly Renewal[], ttlMs: number): Promise<RenewResult> {
    const { identity, instance, host, startedAt } = entry;
    const [now, generation, lost, reasserted] = list(
      await this.#link.run(
        FLEET_SCRIPTS.renew,
        Math.round(ttlMs),
        identity,
        instance,
        host,
        startedAt,
        JSON.stringify(entry),
        ...leases.flatMap(({ slot, epoch, lapsed }) => [slot, epoch, lapsed === true ? "1" : ""]),
      ),
    );
    return { now: integer(now), lost: texts(lost), reasserted: texts(reasserted), generation: text(generation) };
  }

  async release({ slot, epoch }: Lease, instance: string, to = ""): Promise<void> {
    await this.#link.run(FLEET_SCRIPTS.release, slot, epoch, instance, to);
  }

  async slots(): Promise<readonly SlotState[]> {
    const rows = list(await this.#link.run(FLEET_SCRIPTS.slots)).map(list);
    const states = rows.map(
      ([slot, identity, instance, host, epoch, left, released, to]): SlotState => ({
        slot: text(slot),
        identity: text(identity),
        instance: text(instance),
        host: text(host),
        epoch: integer(epoch),
        expiresInMs: integer(left),
        ...(integer(released) === 1 ? { releasedTo: text(to) } : {}),
      }),
    );
    return states.sort((a, b) => (a.slot < b.slot ? -1 : 1));
  }

  async relays(): Promise<readonly RelayEntry[]> {
    const entries = texts(await this.#link.run(FLEET_SCRIPTS.relays)).map((json): RelayEntry => JSON.parse(json));
    return entries.sort((a, b) => (a.identity < b.identity ? -1 : 1));
  }

  async unregister(identity: string, instance: string): Promise<void> {
    await this.#link.run(FLEET_SCRIPTS.unregister, identity, instance);
  }
}
