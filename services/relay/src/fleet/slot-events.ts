import type { DataPlane } from "@culvert/dataplane";
import type { KeeperOutput, SlotName } from "@culvert/fleet";
import type { Logger } from "@culvert/telemetry";
import type { ControlLoop } from "../control-loop.ts";
import type { FleetTime } from "./fleet-time.ts";
import type { ForeignPorts } from "./foreign-ports.ts";
import type { SlotSink } from "./lease-loop.ts";
import type { Ledger } from "./ledger.ts";
import type { Restorer } from "./restorer.ts";
import type { Router } from "./router.ts";
import type { SlotTable } from "./slot-table.ts";
import type { Writer } from "./writer.ts";

export interface SlotCounters {
  gained: number;
  lost: number;
  released: number;
  lapsed: number;
  resumed: number;
  /** Among those gained: slots that a relay of another name had before. */
  takenOver: number;
}

export interface SlotEventsOptions {
  /** This relay's name. */
  readonly identity: string;
  readonly slots: SlotTable;
  readonly ledger: Ledger;
  readonly writer: Writer;
  readonly restorer: Pick<Restorer, "restore">;
  readonly router: Pick<Router, "forgetSlots">;
  readonly foreignPorts: ForeignPorts;
  readonly dataPlane: DataPlane;
  readonly loop: Pick<ControlLoop, "run">;
  readonly time: FleetTime;
  readonly logger: Logger;
  readonly counters: SlotCounters;
  /** Whether it is known which slots this relay gets for now. */
  readonly settled: () => boolean;
  readonly release: (slot: SlotName, to?: string) => void;
  /** Tells the other relays that slots have moved. */
  readonly tellOthers: (slots: readonly SlotName[]) => void;
}

/** Carries out for the TURN server, the data plane and the records what becomes of this relay's slots. */
export class SlotEvents implements SlotSink {
  readonly #options: SlotEventsOptions;
  readonly #handingOver = new Set<SlotName>();
  #joined = false;

  constructor(options: SlotEventsOptions) {
    this.#options = options;
  }

  /** Whether the first slots are here, with what lives in them. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Tells the TURN server which slots it may use. */
  tell(reason: "fenced" | "handed-over" = "fenced"): void {
    const { slots, loop, settled } = this.#options;
    if (settled() && slots.restoring === 0) this.#joined = true;
    loop.run((turn, now) => turn.setSlots(slots.configs(), now, reason));
  }

  /**
   * Others go on with the slot: nothing is relayed for it any more, and all that happened is written.
   *
   * @param to the relay that takes it; otherwise any that can
   */
  async handOver(slot: SlotName, to?: string): Promise<void> {
    const { slots, dataPlane, time, ledger, writer, release, tellOthers } = this.#options;
    const lease = slots.leaseOf(slot);
    if (lease === undefined || this.#handingOver.has(slot)) return;
    this.#handingOver.add(slot);
    slots.mark(slot, { closing: true });
    this.tell();
    dataPlane.apply([{ type: "lease", lease, deadline: time.clock() }]);
    for (const { allocation } of ledger.ofSlot(slot)) writer.changed(allocation);
    await writer.flush();
    release(slot, to);
    this.#handingOver.delete(slot);
    tellOthers([slot]);
  }

  deadline({ lease, deadline }: KeeperOutput & { readonly type: "deadline" }): void {
    this.#options.dataPlane.apply([{ type: "lease", lease, deadline }]);
  }

  gained({ slot, lease, deadline, previous }: KeeperOutput & { readonly type: "gained" }): void {
    const { identity, counters, logger, slots, dataPlane, foreignPorts, router, tellOthers, restorer } = this.#options;
    counters.gained++;
    if (previous !== undefined && previous.identity !== identity) counters.takenOver++;
    logger.info({ slot, previous: previous?.identity }, "slot taken");
    slots.add(slot, lease);
    // What peers send to its ports went to the owner before.
    dataPlane.apply([{ type: "lease", lease, deadline }, ...foreignPorts.takeBack(slot)]);
    this.tell();
    router.forgetSlots([slot]);
    tellOthers([slot]);
    void restorer.restore(slot, lease, previous?.released !== true);
  }

  lost({ slot, lease, reason }: KeeperOutput & { readonly type: "lost" }): void {
    const { counters, slots, logger } = this.#options;
    counters[reason === "taken" ? "lost" : "released"]++;
    slots.remove(slot, lease);
    this.tell(reason === "taken" ? "fenced" : "handed-over");
    if (reason === "taken") logger.warn({ slot }, "another relay has the slot");
  }

  lapsed(slot: SlotName): void {
    const { counters, slots, logger } = this.#options;
    counters.lapsed++;
    logger.warn({ slot }, "lease lapsed: nothing is relayed for the slot");
    slots.mark(slot, { lapsed: true });
    this.tell();
  }

  resumed(slot: SlotName): void {
    const { counters, slots, logger, writer } = this.#options;
    counters.resumed++;
    logger.info({ slot }, "lease held again");
    slots.mark(slot, { lapsed: false });
    this.tell();
    // What changed meanwhile was not written.
    writer.republish([slot]);
  }

  displaced(slot: SlotName): void {
    void this.handOver(slot);
  }

  republish(slots: readonly SlotName[]): void {
    this.#options.writer.republish(slots);
  }
}
