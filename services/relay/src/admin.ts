import type {
  AllocationChange,
  AllocationFilter,
  AllocationPage,
  AllocationStatus,
  PageRequest,
  RelayStatus,
} from "@culvert/contracts";

export type AdminErrorCode =
  /** There is no such allocation or relay. */
  | "not-found"
  /** The relay that it concerns, or the fleet's state, does not answer. */
  | "unavailable"
  /** The page token is not one of `next`. */
  | "bad-page"
  /** The relay is stopping. */
  | "stopping";

export class AdminError extends Error {
  override readonly name = "AdminError";
  readonly code: AdminErrorCode;

  /** @param message one line for the operator who asked */
  constructor(code: AdminErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** One who follows the allocations. Called in the order of what happened, never before `watch` has returned. */
export interface AllocationSink {
  /** A snapshot in pages, then every change. A further snapshot may come at any time and replaces all. */
  onChange(change: AllocationChange): void;
  /** Nothing comes any more. */
  onEnd(error: AdminError): void;
}

export interface AllocationWatch {
  /** Nothing is called after it returns. Idempotent. */
  close(): void;
}

/**
 * What the operators of relays ask for: of this relay, or of the whole fleet where it is in one. All methods reject with
 * an {@link AdminError}. Times are in milliseconds since the Unix epoch.
 */
export interface RelayAdmin {
  /** The relays that live, ordered by identity. */
  relays(): Promise<readonly RelayStatus[]>;
  /** In a stable order: of the allocations that live all the time none is left out, and none comes twice. */
  list(filter: AllocationFilter, page: PageRequest): Promise<AllocationPage>;
  /** Rejects with `not-found`. */
  get(id: string): Promise<AllocationStatus>;
  watch(filter: AllocationFilter, sink: AllocationSink): AllocationWatch;
  /** Resolves once the allocation has ended, wherever it was. Rejects with `not-found`, `unavailable`. */
  terminate(id: string): Promise<void>;
  /** The relay refuses new allocations and serves on those it has. Idempotent. Rejects with `not-found`, `unavailable`. */
  drain(identity: string): Promise<RelayStatus>;
  /** The relay takes new allocations again. Idempotent. Rejects with `not-found`, `unavailable`, `stopping`. */
  undrain(identity: string): Promise<RelayStatus>;
}
