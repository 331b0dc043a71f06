import { MAX_CHANNEL, MIN_CHANNEL, type TransportAddress } from "@culvert/stun";
import { TurnError } from "./errors.ts";

/** One text for one transport address. */
export const addressKey = ({ ip, port }: TransportAddress): string => `${ip} ${port}`;

/** Which channel number stands for which peer (RFC 8656 section 12). */
export class Channels {
  readonly #peers = new Map<number, TransportAddress>();
  readonly #numbers = new Map<string, number>();
  #next: number = MIN_CHANNEL;

  get peers(): ReadonlyMap<number, TransportAddress> {
    return this.#peers;
  }

  peerOf(number: number): TransportAddress | undefined {
    return this.#peers.get(number);
  }

  numberOf(peer: TransportAddress): number | undefined {
    return this.#numbers.get(addressKey(peer));
  }

  set(number: number, peer: TransportAddress): void {
    this.#peers.set(number, peer);
    this.#numbers.set(addressKey(peer), number);
  }

  /**
   * A number for a new peer. Numbers are not given out again before all others were: a binding lives on for a while.
   *
   * @throws TurnError `argument` when all are bound
   */
  takeFree(): number {
    for (let tried = MIN_CHANNEL; tried <= MAX_CHANNEL; tried++) {
      const number = this.#next;
      this.#next = number === MAX_CHANNEL ? MIN_CHANNEL : number + 1;
      if (!this.#peers.has(number)) return number;
    }
    throw new TurnError({ kind: "argument", step: "ChannelBind", reason: "all channel numbers are in use" });
  }

  clear(): void {
    this.#peers.clear();
    this.#numbers.clear();
  }
}
