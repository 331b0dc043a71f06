import { utf8Decode, utf8Encode } from "@culvert/stun";
import type { SlotName } from "./slots.ts";
import type { Heartbeat } from "./types.ts";

/** What the control loops of two relays tell each other over the mesh. Best effort: all of it is told again, or only a hint. */
export type Control =
  | ({ readonly type: "beat" } & Heartbeat)
  /** What was forwarded here for the 5-tuple has no allocation here: ask the store again. */
  | { readonly type: "not-mine"; readonly tuple: string }
  /** These slots were handed over, or taken: whoever had another in mind asks the store again. */
  | { readonly type: "slots"; readonly slots: readonly SlotName[] };

/** More is no control message of ours. */
const MAX_BYTES = 16_384;

export function encodeControl(control: Control): Uint8Array {
  return utf8Encode(JSON.stringify(control));
}

/** Undefined for what is no control message: one of a newer version, perhaps. */
export function decodeControl(bytes: Uint8Array): Control | undefined {
  if (bytes.length > MAX_BYTES) return undefined;
  const text = utf8Decode(bytes);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isMapping(value) ? controlOf(value) : undefined;
}

function controlOf(value: Readonly<Record<string, unknown>>): Control | undefined {
  const { type, identity, instance, sentAt, reachesStore, leaving, tuple, slots } = value;
  if (type === "beat") {
    if (typeof identity !== "string" || typeof instance !== "string" || typeof sentAt !== "number") return undefined;
    if (typeof reachesStore !== "boolean" || typeof leaving !== "boolean") return undefined;
    return { type, identity, instance, sentAt, reachesStore, leaving };
  }
  if (type === "not-mine") return typeof tuple === "string" ? { type, tuple } : undefined;
  if (type !== "slots" || !Array.isArray(slots) || !slots.every((slot) => typeof slot === "string")) return undefined;
  return { type, slots };
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
