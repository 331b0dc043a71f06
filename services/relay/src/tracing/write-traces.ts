import type { FleetWrite, WriteResult } from "@culvert/state";
import { beginSpan, endSpan, sampledContext, within } from "@culvert/tracing";
import type { Context } from "@opentelemetry/api";

/** Traced changes that are remembered until they are written. */
const MAX_CAUSES = 4096;
/** Spans of one batch: it may hold hundreds of writes. */
const MAX_SPANS = 32;

/** What made an allocation change, for the writes that tell the fleet of it. */
export class WriteTraces {
  readonly #causes = new Map<number, Context>();

  /** Something changed that is to be written. */
  note(key: number): void {
    const cause = sampledContext();
    if (cause !== undefined && this.#causes.size < MAX_CAUSES) this.#causes.set(key, cause);
  }

  /** Writes in a span for each traced cause. The batch itself is in the first. `keys` belong to the writes, in their order. */
  async write(
    writes: readonly FleetWrite[],
    keys: readonly number[],
    write: () => Promise<readonly WriteResult[]>,
  ): Promise<readonly WriteResult[]> {
    if (this.#causes.size === 0) return write();
    const causes = keys.flatMap((key, index) => {
      const cause = this.#causes.get(key);
      this.#causes.delete(key);
      return cause === undefined ? [] : [{ key, index, cause }];
    });
    const begun = causes.slice(0, MAX_SPANS).flatMap(({ index, cause }) => {
      const entry = beginSpan({ name: "slot write", attributes: attributesOf(writes[index], writes.length) }, cause);
      return entry === undefined ? [] : [{ index, entry }];
    });
    try {
      const results = await within(begun[0]?.entry.context, write);
      for (const { index, entry } of begun) {
        entry.span.setAttribute("culvert.write.result", results[index] ?? "unknown");
        endSpan(entry.span);
      }
      return results;
    } catch (error) {
      for (const { entry } of begun) endSpan(entry.span, error);
      // They are written again.
      for (const { key, cause } of causes) if (!this.#causes.has(key)) this.#causes.set(key, cause);
      throw error;
    }
  }
}

function attributesOf(write: FleetWrite | undefined, batch: number): Record<string, string | number> {
  if (write === undefined) return {};
  const { id, slot } = write.kind === "put" ? write.record : write;
  return {
    "culvert.slot": slot,
    "culvert.slot.epoch": write.epoch,
    "culvert.allocation": id,
    "culvert.write.kind": write.kind,
    "culvert.write.batch": batch,
  };
}
