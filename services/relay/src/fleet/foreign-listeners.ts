import { setTimeout as sleep } from "node:timers/promises";
import type { AllocationRecord } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import type { ControlLoop } from "../control-loop.ts";
import type { ListenerSet } from "../listener-set.ts";
import type { FleetListener, Frontends } from "./frontends.ts";

const ATTEMPTS = 12;
const RETRY_MS = 250;

export interface ForeignListenersOptions {
  readonly listeners: ListenerSet;
  readonly frontends: Frontends;
  readonly loop: Pick<ControlLoop, "run">;
  readonly logger: Logger;
}

/** Listeners of other relays whose addresses came here. */
export class ForeignListeners {
  readonly #options: ForeignListenersOptions;

  constructor(options: ForeignListenersOptions) {
    this.#options = options;
  }

  /** The listener that the record's client talks to. Undefined while its address is not here. */
  async open({ transport, listener, frontend }: AllocationRecord): Promise<FleetListener | undefined> {
    const { listeners, frontends, loop, logger } = this.#options;
    if (transport !== "udp") return undefined;
    let id: number | undefined;
    for (let attempt = 0; attempt < ATTEMPTS && id === undefined; attempt++) {
      // Its owner may be about to let go of it.
      if (attempt > 0) await sleep(RETRY_MS);
      id = await listeners.openFor(listener, frontend).catch((error: unknown) => {
        logger.warn({ err: error }, "no listener for the clients of another relay");
        return undefined;
      });
    }
    if (id === undefined) return undefined;
    const added = { id, transport, address: listener, frontend } as const;
    frontends.add(added);
    loop.run((turn) => turn.addListener({ id: added.id, transport, address: listener }));
    return added;
  }
}
