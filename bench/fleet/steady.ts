import type { Loadgen, Trial } from "../loadgen.ts";
import type { Server } from "../servers.ts";

const MAX_LOSS = 0.01;
/** Share of a trial for which other processes may keep the generator waiting. */
const MAX_HELD_UP = 0.03;
const MAX_TRIES = 5;

/** Trials at one rate: those that lost packets, or that other processes disturbed, are made again. */
export class Steady {
  readonly #loadgen: Loadgen;
  readonly #rate: number;
  readonly #seconds: number;
  #worst = 0;

  constructor(loadgen: Loadgen, rate: number, seconds: number) {
    this.#loadgen = loadgen;
    this.#rate = rate;
    this.#seconds = seconds;
  }

  async take(server: Server, load: readonly string[]): Promise<Trial> {
    let best: Trial | undefined;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const trial = await this.#loadgen.rate(server, load, this.#rate, this.#seconds);
      if (best === undefined || trial.loss < best.loss) best = trial;
      if (trial.loss <= MAX_LOSS && trial.generatorHeldUp <= MAX_HELD_UP) {
        best = trial;
        break;
      }
    }
    if (best === undefined) throw new Error("no trial was made");
    this.#worst = Math.max(this.#worst, best.loss);
    return best;
  }

  /** What a reader must know of all that were taken. */
  get note(): string {
    const lost = this.#worst > MAX_LOSS ? `; up to ${(this.#worst * 100).toFixed(1)} % lost` : "";
    return `at ${this.#rate} packets/s${lost}`;
  }
}
