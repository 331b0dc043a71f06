import type { TurnEvent, TurnServerConfig } from "@culvert/turn";
import { TurnServer } from "@culvert/turn";
import { createAuthenticator } from "./adapters/authenticator.ts";
import { anonymiser, createTurnLog } from "./adapters/turn-log.ts";
import type { RelayConfig } from "./config.ts";
import { type ControlHooks, ControlLoop } from "./control-loop.ts";
import type { KeyStore } from "./key-store.ts";
import type { ResolvedPorts } from "./ports.ts";

export interface ControlOptions {
  readonly config: RelayConfig;
  readonly turnConfig: TurnServerConfig;
  readonly ports: ResolvedPorts;
  readonly keys: KeyStore;
  readonly hooks: ControlHooks | undefined;
  /** Told of each event before the commands that follow it are carried out. */
  readonly observers: readonly ((event: TurnEvent, turn: TurnServer) => void)[];
}

/** A TURN server on the data plane, with all who want to know what it does. */
export function createControl(options: ControlOptions): ControlLoop {
  const { config, turnConfig, ports, keys, hooks, observers } = options;
  const { crypto, random, logger, clock, dataPlane } = ports;
  const { auth, realm, limits } = config;
  const authenticator = createAuthenticator({
    users: auth.users,
    realm,
    keys: keys.ring,
    usesKeys: ports.keys !== undefined || auth.secrets.length > 0,
    crypto,
    ...(limits.maxBps === undefined ? {} : { maxBps: limits.maxBps }),
  });
  const turn = new TurnServer(turnConfig, { crypto, random, authenticator });
  const log = createTurnLog(logger, anonymiser(config.logAddresses, random.bytes(32)), clock);
  return new ControlLoop({
    turn,
    dataPlane,
    clock,
    ...(hooks === undefined ? {} : { hooks }),
    onEvent: (event) => {
      for (const observe of observers) observe(event, turn);
      log(event);
    },
  });
}
