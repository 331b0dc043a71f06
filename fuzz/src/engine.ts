// Coverage-guided fuzzing with what Node has: a seeded mutator, and V8's block coverage through node:inspector. The
// library of choice would be Jazzer.js, but the native part that it ships asks for glibc 2.38, which Debian 12 and with
// it Node's own images do not have.
import { Coverage } from "./coverage.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";
import { shrink } from "./shrink.ts";
import { type FuzzTarget, finding } from "./target.ts";

export interface FuzzOptions {
  /** The same seed, corpus and number of executions try the same inputs. */
  readonly seed: number;
  readonly corpus: readonly Uint8Array[];
  /** Stop after so many executions of the target, beyond those that the corpus takes. */
  readonly maxExecutions?: number | undefined;
  /** Stop when this says so; asked once a batch. */
  readonly expired?: (() => boolean) | undefined;
}

export interface Crash {
  readonly input: Uint8Array;
  readonly error: unknown;
}

export interface FuzzReport {
  readonly executions: number;
  /** Characters of source text that ran. */
  readonly coverage: number;
  /** Inputs that reached new code, in the order of their discovery. */
  readonly discoveries: readonly Uint8Array[];
  readonly crash?: Crash;
}

const BATCH = 256;

class Fuzzer {
  readonly #target: FuzzTarget;
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #coverage: Coverage;
  readonly #pool: Uint8Array[] = [];
  readonly #discoveries: Uint8Array[] = [];
  #executions = 0;

  constructor(target: FuzzTarget, options: FuzzOptions, coverage: Coverage) {
    this.#target = target;
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#coverage = coverage;
  }

  run(): FuzzReport {
    const crash = this.#replayCorpus() ?? this.#search();
    const report = { executions: this.#executions, coverage: this.#coverage.size, discoveries: this.#discoveries };
    return crash ? { ...report, crash: this.#shrunk(crash) } : report;
  }

  #replayCorpus(): Crash | undefined {
    for (const input of this.#options.corpus) {
      const crash = this.#try(input);
      if (crash) return crash;
      this.#pool.push(input);
      this.#coverage.record();
    }
    this.#executions = 0;
    return undefined;
  }

  #search(): Crash | undefined {
    const { maxExecutions = Number.POSITIVE_INFINITY, expired = () => false } = this.#options;
    while (this.#executions < maxExecutions && !expired()) {
      const inputs = Array.from({ length: Math.min(BATCH, maxExecutions - this.#executions) }, () => this.#invent());
      for (const input of inputs) {
        const crash = this.#try(input);
        if (crash) return crash;
      }
      if (this.#coverage.readAny()) this.#keepDiscoveries(inputs);
    }
    return undefined;
  }

  #keepDiscoveries(inputs: readonly Uint8Array[]): void {
    for (const input of inputs) {
      finding(this.#target, input);
      if (!this.#coverage.record()) continue;
      this.#pool.push(input);
      this.#discoveries.push(input);
    }
  }

  #try(input: Uint8Array): Crash | undefined {
    this.#executions++;
    const error = finding(this.#target, input);
    return error === undefined ? undefined : { input, error };
  }

  #invent(): Uint8Array {
    const random = this.#random;
    const mutated = mutate(this.#choose(), this.#choose(), random, this.#target.maxLength);
    return random.oneIn(4) ? mutated : (this.#target.repair?.(mutated, random) ?? mutated);
  }

  /** An input to start from; half of the time one of the latest. */
  #choose(): Uint8Array {
    const size = this.#pool.length;
    if (size === 0) return new Uint8Array(this.#random.below(64));
    const recent = this.#random.oneIn(2) ? Math.min(size, 16) : size;
    return this.#pool[size - 1 - this.#random.below(recent)] ?? new Uint8Array();
  }

  #shrunk(crash: Crash): Crash {
    const input = shrink(crash.input, (shorter) => finding(this.#target, shorter) !== undefined);
    return { input, error: finding(this.#target, input) ?? crash.error };
  }
}

/** Looks for inputs on which the target throws or takes too long, until one is found or the options say stop. */
export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  return new Fuzzer(target, options, new Coverage(target.covers)).run();
}
