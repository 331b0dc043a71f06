import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { NativeBinding } from "./binding.ts";

/** What this adapter is written for. */
const PROTOCOL = 5;
/** Where `scripts/build-native` puts it: the same place seen from `src/native` and from `dist/native`. */
const ADDON = fileURLToPath(new URL("../../native/fastpath.node", import.meta.url));
const ADVICE = "scripts/build-native builds it, with Rust 1.85 or newer on Linux";

export type Loaded =
  | { readonly ok: true; readonly binding: NativeBinding }
  /** One line: why there is no native data plane, and how to get it. */
  | { readonly ok: false; readonly reason: string };

let loaded: Loaded | undefined;

/** The addon, loaded once. */
export function loadBinding(): Loaded {
  loaded ??= load();
  return loaded;
}

function load(): Loaded {
  if (!existsSync(ADDON)) return { ok: false, reason: `the native data plane is not built (${ADVICE})` };
  try {
    const binding: NativeBinding = createRequire(import.meta.url)(ADDON);
    if (binding.protocol() === PROTOCOL) return { ok: true, binding };
    return { ok: false, reason: `the native data plane was built from another version (${ADVICE})` };
  } catch (error) {
    const cause = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ");
    return { ok: false, reason: `the native data plane does not load: ${cause} (${ADVICE})` };
  }
}
