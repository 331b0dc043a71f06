import type { KeyChange, KeySnapshot } from "./keys.ts";

/** Where signing keys and revocations come from: a credential service, over the wire or in the same process. */
export interface KeySource {
  /** Calls the sink until the watch is closed: a snapshot first, then changes; a new snapshot after a gap. */
  watch(sink: KeySink): KeyWatch;
}

/** Takes what a source of keys tells. The revision of each change is one more than that of what came before. */
export interface KeySink {
  /** Replaces everything known so far. */
  onSnapshot(snapshot: KeySnapshot, revision: bigint): void;
  onChange(change: KeyChange, revision: bigint): void;
}

/** A running watch of a source of keys. */
export interface KeyWatch {
  /** Resolves with the first snapshot; rejects when the watch is closed before. */
  readonly ready: Promise<void>;
  /** Whether the keys are known to be current. */
  connected(): boolean;
  /** Ends the watch. Nothing is called afterwards. */
  close(): void;
}

/** How a source keeps the promise that is {@link KeyWatch.ready}. */
export interface FirstSnapshot {
  readonly ready: Promise<void>;
  arrived(): void;
  /** Means nothing once the snapshot has arrived. */
  closed(): void;
}

/** Nobody has to wait for the promise: its rejection is no unhandled one. */
export function firstSnapshot(): FirstSnapshot {
  let arrived: () => void = () => {};
  let abandoned: (error: Error) => void = () => {};
  const ready = new Promise<void>((resolve, reject) => {
    arrived = resolve;
    abandoned = reject;
  });
  ready.catch(() => {});
  return {
    ready,
    arrived,
    closed: () => abandoned(new Error("the key watch was closed before its first snapshot")),
  };
}
