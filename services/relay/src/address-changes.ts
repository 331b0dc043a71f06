import type { Millis, TurnServer } from "@culvert/turn";
import type { RelayAddress, RelayConfig } from "./config.ts";
import type { ExternalAddresses } from "./external/external-addresses.ts";
import type { ResolvedPorts } from "./ports.ts";
import type { RelayedAddresses } from "./relayed-addresses.ts";

/** How long after the end of an allocation it is looked whether it was the last one of a former address, in ms. */
const LOOK_MS = 1_000;

export interface AddressSources {
  readonly config: RelayConfig;
  readonly ports: Pick<ResolvedPorts, "env" | "resolver" | "logger">;
  /** With `auto` replaced. */
  readonly relays: readonly RelayAddress[];
}

/** What finds the external addresses. Undefined where the configuration says all; nothing is loaded for it then. */
export async function externalAddresses({
  config: { externalAddress },
  ports: { env, resolver, logger },
  relays,
}: AddressSources): Promise<ExternalAddresses | undefined> {
  if (externalAddress === undefined) return undefined;
  const { ExternalAddresses: Finder } = await import("./external/external-addresses.ts");
  return new Finder({ config: externalAddress, relays, env, resolver, logger });
}

export interface AddressChangesOptions {
  readonly addresses: RelayedAddresses;
  /** Hands the TURN server something, once there is one. */
  readonly run: (input: (turn: TurnServer, now: Millis) => void) => void;
  /** Tells the others who know the addresses. */
  readonly onChange: () => void;
}

/** Carries out that the relayed addresses have other external ones. */
export class AddressChanges {
  readonly #options: AddressChangesOptions;
  #former = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AddressChangesOptions) {
    this.#options = options;
  }

  apply(next: readonly RelayAddress[]): void {
    const { addresses, onChange } = this.#options;
    addresses.set(next);
    this.#tell();
    onChange();
  }

  /** An allocation has ended, and a former address with it perhaps. */
  ended(): void {
    if (this.#former === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#tell();
    }, LOOK_MS);
    this.#timer.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #tell(): void {
    const { addresses, run } = this.#options;
    run((turn, now) => {
      this.#former = turn.setRelays(addresses.current, now);
    });
  }
}
