/** The clock that retransmissions, time-outs and refreshes run on. */
export interface Timers {
  /** Calls `callback` once after `delayMs` milliseconds. The returned function cancels it, and may be called again. */
  schedule(delayMs: number, callback: () => void): () => void;
}

/** Node's timers. */
export const systemTimers: Timers = {
  schedule(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
