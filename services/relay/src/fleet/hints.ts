import { Buffer } from "node:buffer";
import type { EventBus } from "@culvert/events";
import type { SlotName } from "@culvert/fleet";
import type { Logger } from "@culvert/telemetry";
import type { Peers } from "./peers.ts";

/** Ownership hints, by name of the slot's address. */
const SLOTS_SUBJECT = "culvert.fleet.slots";

export interface HintsOptions {
  readonly bus: EventBus | undefined;
  readonly peers: Pick<Peers, "broadcast">;
  readonly logger: Logger;
}

/** Hints that slots have moved, over the mesh and the event bus. One that is missed is found out later. */
export class Hints {
  readonly #options: HintsOptions;
  #unsubscribe: (() => void) | undefined;

  constructor(options: HintsOptions) {
    this.#options = options;
  }

  publish(slots: readonly SlotName[]): void {
    const { bus, peers, logger } = this.#options;
    peers.broadcast({ type: "slots", slots });
    try {
      bus?.publish(SLOTS_SUBJECT, Buffer.from(slots.join("\n")));
    } catch (error) {
      logger.debug({ err: error }, "hint not published");
    }
  }

  /** Hears those of the event bus; the mesh tells of its own. */
  follow(onMoved: (slots: readonly SlotName[]) => void): void {
    const { bus, logger } = this.#options;
    bus
      ?.subscribe(SLOTS_SUBJECT, ({ data }) => onMoved(Buffer.from(data).toString().split("\n")))
      .then((subscription) => {
        this.#unsubscribe = () => subscription.unsubscribe();
      })
      .catch((error: unknown) => logger.warn({ err: error }, "no hints from other relays"));
  }

  stop(): void {
    this.#unsubscribe?.();
  }
}
