import type { DataPlane } from "@culvert/dataplane";
import { fleetKeys } from "@culvert/fleet";
import type { StunCrypto } from "@culvert/stun";
import type { TurnServer } from "@culvert/turn";
import type { FleetTime } from "./fleet-time.ts";
import { NonceRotation } from "./rotation.ts";

export interface FleetSecretsOptions {
  readonly secrets: readonly string[];
  readonly nonceLifetimeMs: number;
  readonly crypto: StunCrypto;
  readonly time: FleetTime;
  readonly dataPlane: Pick<DataPlane, "setMeshSecrets">;
}

/** What is derived from the fleet's secrets: keys of nonces, which change with time, of mobility tickets and of the mesh. */
export class FleetSecrets {
  readonly #options: FleetSecretsOptions;
  readonly #rotation: NonceRotation;
  #secrets: readonly string[];

  constructor(options: FleetSecretsOptions) {
    const { secrets, nonceLifetimeMs, crypto, time } = options;
    this.#options = options;
    this.#secrets = secrets;
    this.#rotation = new NonceRotation(crypto, secrets, nonceLifetimeMs, time);
  }

  nonceKeys(): readonly Uint8Array[] {
    return this.#rotation.keys();
  }

  ticketKeys(): readonly Uint8Array[] {
    return fleetKeys(this.#options.crypto, this.#secrets, "ticket");
  }

  meshKeys(): readonly Uint8Array[] {
    return fleetKeys(this.#options.crypto, this.#secrets, "mesh");
  }

  /** Takes other secrets: the first signs from now on, all are accepted. */
  set(secrets: readonly string[], { meshed }: { readonly meshed: boolean }): void {
    this.#secrets = secrets;
    this.#rotation.setSecrets(secrets);
    if (meshed) this.#options.dataPlane.setMeshSecrets(this.meshKeys());
  }

  /** Tells the server the keys that it makes nonces and tickets with. */
  tell(turn: TurnServer): void {
    turn.setNonceKeys(this.nonceKeys());
    turn.setTicketKeys(this.ticketKeys());
  }

  follow(onChange: (keys: readonly Uint8Array[]) => void): void {
    this.#rotation.follow(onChange);
  }

  stop(): void {
    this.#rotation.stop();
  }
}
