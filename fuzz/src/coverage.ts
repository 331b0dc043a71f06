import { type Profiler, Session } from "node:inspector";

/** Which characters of a function have run. */
type Reached = Uint8Array<ArrayBuffer>;

/**
 * Marks what of a function ran. Its ranges nest, the outer ones first, and the innermost says whether a character ran.
 */
function paint(ranges: readonly Profiler.CoverageRange[]): Reached {
  const outer = ranges[0];
  if (!outer) return new Uint8Array();
  const reached = new Uint8Array(outer.endOffset - outer.startOffset);
  for (const { startOffset, endOffset, count } of ranges) {
    reached.fill(count > 0 ? 1 : 0, startOffset - outer.startOffset, endOffset - outer.startOffset);
  }
  return reached;
}

let session: Session | undefined;

/** One session for the process: V8 forgets the blocks of compiled functions when the counting stops and starts again. */
function counting(): Session {
  if (session) return session;
  session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  return session;
}

/**
 * What code has run, by V8's own block coverage. Reading it costs about a millisecond, so it pays to read it for a batch
 * of inputs and look at the single ones only where the batch reached something new.
 */
export class Coverage {
  readonly #session: Session = counting();
  readonly #covers: readonly string[];
  readonly #seen = new Map<string, Reached>();

  /** Counts from here on, in scripts whose path contains one of `covers`. */
  constructor(covers: readonly string[]) {
    this.#covers = covers;
    this.#take();
  }

  /** Characters of source text that have run, as far as `record` was told. */
  get size(): number {
    let size = 0;
    for (const reached of this.#seen.values()) for (const mark of reached) size += mark;
    return size;
  }

  /** Whether code ran since the last reading that was never recorded. */
  readAny(): boolean {
    return this.#read(false);
  }

  /** The same, and records it. */
  record(): boolean {
    return this.#read(true);
  }

  #read(keep: boolean): boolean {
    let isNew = false;
    for (const { scriptId, url, functions } of this.#take()) {
      if (!this.#covers.some((part) => url.includes(part))) continue;
      for (const { ranges } of functions) {
        const key = `${scriptId}:${ranges[0]?.startOffset}:${ranges[0]?.endOffset}`;
        const reached = paint(ranges);
        const seen = this.#seen.get(key) ?? new Uint8Array(reached.length);
        if (!reached.some((mark, i) => mark > (seen[i] ?? 0))) continue;
        isNew = true;
        if (keep)
          this.#seen.set(
            key,
            seen.map((mark, i) => mark | (reached[i] ?? 0)),
          );
      }
    }
    return isNew;
  }

  /** Reads and resets V8's counters. */
  #take(): readonly Profiler.ScriptCoverage[] {
    let scripts: readonly Profiler.ScriptCoverage[] = [];
    // A session with its own thread answers before `post` returns.
    this.#session.post("Profiler.takePreciseCoverage", (error, answer) => {
      if (error) throw error;
      scripts = answer.result;
    });
    return scripts;
  }
}
