import { Deadlines } from "./deadlines.ts";
import type { ConnectionId, HubConfig, HubEvent, HubOutput, HubPorts, VerifyResult } from "./io.ts";
import type { Limits } from "./limits.ts";
import type { RandomSource } from "./random.ts";
import type { ResumeSigner } from "./resume-token.ts";

/** What the parts of one hub share: the clock, the deadlines and the way out. */
export class Core {
  readonly config: HubConfig;
  readonly limits: Limits;
  readonly random: RandomSource;
  readonly signer: ResumeSigner;
  readonly deadlines: Deadlines = new Deadlines();
  now = 0;
  readonly #outputs: HubOutput[] = [];
  #read = 0;
  readonly #asks = new Map<number, (result: VerifyResult) => void>();
  #numbers = 0;

  constructor(config: HubConfig, ports: HubPorts) {
    this.config = config;
    this.limits = config.limits;
    this.random = ports.random;
    this.signer = ports.signer;
  }

  get self(): string {
    return this.config.replica;
  }

  emit(output: HubOutput): void {
    this.#outputs.push(output);
  }

  event(event: HubEvent): void {
    this.emit({ kind: "event", event });
  }

  refused(reason: string, connection?: ConnectionId): void {
    this.event({ name: "refused", reason, ...(connection === undefined ? {} : { connection }) });
  }

  /** A number that this hub gives out once. */
  number(): number {
    this.#numbers++;
    return this.#numbers;
  }

  verify(token: string, done: (result: VerifyResult) => void): void {
    const id = this.number();
    this.#asks.set(id, done);
    this.emit({ kind: "verify", id, token });
  }

  verified(id: number, result: VerifyResult): void {
    const done = this.#asks.get(id);
    this.#asks.delete(id);
    done?.(result);
  }

  take(): HubOutput | undefined {
    const output = this.#outputs[this.#read];
    if (output === undefined) {
      this.#outputs.length = 0;
      this.#read = 0;
      return undefined;
    }
    this.#read++;
    return output;
  }
}
