import { setTimeout as sleep } from "node:timers/promises";
import type { AdmitResult, AllocationRecord, FleetStore } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import { inSpan } from "@culvert/tracing";
import type { AllocationSnapshot, Answer } from "@culvert/turn";
import type { RelayConfig } from "../config.ts";
import type { FleetTime } from "./fleet-time.ts";
import type { Frontends } from "./frontends.ts";
import { recordOf } from "./records.ts";

/** After the store lost the leases, owners assert them within a renewal. */
const UNLEASED_RETRY_MS = 100;
const UNLEASED_RETRIES = 10;

/** What the fleet says of a new allocation; `unavailable`: it could not be asked. */
export type AdmissionOutcome = AdmitResult["kind"] | "unavailable";
export const ADMISSION_OUTCOMES: readonly AdmissionOutcome[] = [
  "granted",
  "refused",
  "elsewhere",
  "stale",
  "unleased",
  "unavailable",
];

export interface AdmissionOptions {
  readonly store: FleetStore;
  readonly quotas: () => RelayConfig["quotas"];
  readonly frontends: Frontends;
  readonly time: FleetTime;
  readonly logger: Logger;
  readonly epochOf: (slot: string) => number | undefined;
  readonly onElsewhere: (tuple: string, owner: { readonly identity: string; readonly slot: string }) => void;
  readonly onStale: () => void;
  readonly count: (outcome: AdmissionOutcome) => void;
}

/** Asks the fleet whether there may be one more allocation: its quotas, and whether the 5-tuple has one elsewhere. */
export class Admission {
  readonly #options: AdmissionOptions;
  /** Records that the store has, whose allocations are not there yet. */
  readonly #admitted = new Set<string>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  async decide(snapshot: AllocationSnapshot): Promise<Answer> {
    const { frontends, time, count } = this.#options;
    const record = recordOf(snapshot, { frontends, offset: time.offset });
    const kind = await inSpan({ name: "admit allocation" }, async (span) => {
      const outcome = record === undefined ? "stale" : await this.#ask(record, snapshot);
      span?.setAttributes({ "culvert.admission.outcome": outcome, "culvert.slot": record?.slot ?? "" });
      return outcome;
    });
    count(kind);
    return { kind: kind === "unleased" ? "unavailable" : kind };
  }

  /** Whether the store has the record that this allocation was admitted with. Says so once. */
  takeAdmitted(record: string): boolean {
    return this.#admitted.delete(record);
  }

  async #ask(record: AllocationRecord, { claims }: AllocationSnapshot): Promise<AdmissionOutcome> {
    const { store, epochOf, onElsewhere, onStale, logger } = this.#options;
    const quotas = this.#options.quotas();
    const perUser = claims.maxAllocations ?? quotas.user;
    const limits = {
      ...(perUser === undefined ? {} : { perUser }),
      ...(quotas.tenant === undefined ? {} : { perTenant: quotas.tenant }),
    };
    for (let attempt = 0; ; attempt++) {
      const epoch = epochOf(record.slot);
      if (epoch === undefined) return store.health().up ? "stale" : "unavailable";
      try {
        const result = await store.admit(record, epoch, limits);
        if (result.kind === "granted") this.#admitted.add(record.id);
        if (result.kind === "elsewhere") onElsewhere(record.tuple, result.owner);
        if (result.kind === "stale" || result.kind === "unleased") onStale();
        if (result.kind !== "unleased" || attempt >= UNLEASED_RETRIES) return result.kind;
      } catch (error) {
        logger.debug({ err: error }, "admission without the store");
        return "unavailable";
      }
      await sleep(UNLEASED_RETRY_MS);
    }
  }
}
