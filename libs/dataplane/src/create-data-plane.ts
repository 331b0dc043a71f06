import { loadBinding } from "./native/load.ts";
import { createNativeDataPlane, type NativeDataPlaneOptions } from "./native/native-data-plane.ts";
import { createNodeDataPlane } from "./node/node-data-plane.ts";
import type { DataPlane } from "./port.ts";

/** "auto" is "native" where its addon is built, otherwise "node". */
export type DataPlaneKind = "auto" | "node" | "native";

export interface DataPlaneOptions extends NativeDataPlaneOptions {
  readonly kind: DataPlaneKind;
  /** Told once, in one line, when "auto" came to the portable data plane: why, and how to get the fast one. */
  readonly onPortable: (reason: string) => void;
}

/**
 * A data plane of the kind asked for.
 *
 * @throws Error when "native" was asked for and is not there; the message says how to get it.
 */
export function createDataPlane({ kind, onPortable, ...options }: DataPlaneOptions): DataPlane {
  if (kind === "native") return createNativeDataPlane(options);
  const { workers: _workers, answersBindings: _answersBindings, time: _time, ...portable } = options;
  if (kind === "node") return createNodeDataPlane(portable);
  const loaded = loadBinding();
  if (loaded.ok) return createNativeDataPlane(options);
  onPortable(loaded.reason);
  return createNodeDataPlane(portable);
}
