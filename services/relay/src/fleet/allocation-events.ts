import type { FleetStore } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import type { TurnEvent, TurnServer } from "@culvert/turn";
import type { Admission } from "./admission.ts";
import type { Ledger } from "./ledger.ts";
import type { Restorer } from "./restorer.ts";
import type { Router } from "./router.ts";
import type { Usage } from "./usage.ts";
import type { Writer } from "./writer.ts";

export interface AllocationEventsOptions {
  readonly store: FleetStore;
  readonly ledger: Ledger;
  readonly writer: Writer;
  readonly router: Pick<Router, "own" | "restored">;
  readonly restorer: Pick<Restorer, "restored" | "failed">;
  readonly admission: Pick<Admission, "takeAdmitted">;
  readonly usage: Usage | undefined;
  readonly logger: Logger;
  /** A client was sent to another relay. */
  readonly onAlternate: () => void;
}

/** Keeps the ledger, the records, the routes and the usage log true to what the TURN server's allocations do. */
export class AllocationEvents {
  readonly #options: AllocationEventsOptions;

  constructor(options: AllocationEventsOptions) {
    this.#options = options;
  }

  observe(event: TurnEvent, turn: TurnServer): void {
    const { router, ledger, restorer, admission, onAlternate } = this.#options;
    switch (event.name) {
      case "allocation-created":
      case "allocation-restored":
        this.#began(event, turn);
        break;
      case "allocation-moved":
        router.own(event.client);
        break;
      case "relay-deleted":
        ledger.closeRelay(event.allocation, event.relay);
        break;
      case "allocation-deleted":
        this.#ended(event);
        break;
      case "restore-failed":
        restorer.failed(event.record, event.reason);
        break;
      case "admission-unused":
        if (admission.takeAdmitted(event.record)) this.#dropUnused(event.record);
        break;
      case "request":
        if (event.code === 300) onAlternate();
        break;
      default:
        break;
    }
  }

  #began(event: TurnEvent & { readonly name: "allocation-created" | "allocation-restored" }, turn: TurnServer): void {
    const { ledger, router, restorer, admission, writer, usage } = this.#options;
    const info = turn.find(event.record);
    if (info === undefined) return;
    const entry = ledger.add(info);
    router.own(event.client);
    const restored = event.name === "allocation-restored";
    if (restored) {
      restorer.restored(event.record);
      router.restored();
    } else if (!admission.takeAdmitted(event.record)) writer.changed(event.allocation);
    usage?.began(entry, restored ? "resumed" : "started");
  }

  #ended({ allocation, record, slot = "", reason }: TurnEvent & { readonly name: "allocation-deleted" }): void {
    const { usage, ledger, writer } = this.#options;
    usage?.ended(record, reason);
    ledger.remove(allocation);
    if (reason === "fenced" || reason === "handed-over") writer.forget(allocation);
    else writer.deleted(allocation, { id: record, slot });
  }

  #dropUnused(id: string): void {
    const { store, writer, logger } = this.#options;
    store
      .get(id)
      .then((found) => found !== undefined && writer.drop({ id, slot: found.record.slot }))
      .catch((error: unknown) => logger.debug({ err: error }, "an unused admission runs out by itself"));
  }
}
