import type { TurnEvent, TurnServerConfig } from "@culvert/turn";
import { TurnServer } from "@culvert/turn";
import { createAuthenticator } from "./adapters/authenticator.ts";
import { anonymiser, createTurnLog } from "./adapters/turn-log.ts";
import type { RelayConfig } from "./config.ts";
import { type ControlHooks, ControlLoop } from "./control-loop.ts";
import type { KeyStore } from "./key-store.ts";
import type { ResolvedPorts } from "./ports.ts";
import type { TracedClaims } from "./tracing/credential-trace.ts";
import { TracedTurnServer } from "./tracing/traced-turn-server.ts";

export interface ControlOptions {
  readonly config: RelayConfig;
  readonly turnConfig: TurnServerConfig;
  readonly ports: ResolvedPorts;
  readonly keys: KeyStore;
  readonly hooks: ControlHooks | undefined;
  /** Told of each event before the commands that follow it are carried out. */
  readonly observers: readonly ((event: TurnEvent, turn: TurnServer) => void)[];
}

export interface Control {
  readonly loop: ControlLoop;
  /** Takes over what the authenticator is configured with. */
  configure(config: RelayConfig): void;
}

/** A TURN server on the data plane, with all who want to know what it does. */
export function createControl(options: ControlOptions): Control {
  const { config, turnConfig, ports, keys, hooks, observers } = options;
  const { crypto, random, logger, clock, dataPlane, tracing } = ports;
  const { auth, realm, limits } = config;
  let traced: TracedTurnServer | undefined;
  const authenticator = createAuthenticator({
    users: auth.users,
    realm,
    keys: keys.ring,
    usesKeys: ports.keys !== undefined || auth.secrets.length > 0,
    crypto,
    maxBps: limits.maxBps,
    ...(tracing.configured ? { onKnown: (claims: TracedClaims) => traced?.identified(claims) } : {}),
  });
  const turnPorts = { crypto, random, authenticator };
  if (tracing.configured) traced = new TracedTurnServer(turnConfig, turnPorts, tracing);
  const turn = traced ?? new TurnServer(turnConfig, turnPorts);
  const log = createTurnLog(logger, anonymiser(config.logAddresses, random.bytes(32)), clock);
  const loop = new ControlLoop({
    turn,
    dataPlane,
    clock,
    ...(hooks === undefined ? {} : { hooks }),
    ...(traced === undefined ? {} : { contextOf: () => traced?.context }),
    onEvent: (event) => {
      for (const observe of observers) observe(event, turn);
      log(event);
    },
  });
  return {
    loop,
    configure: (next) => authenticator.configure({ users: next.auth.users, maxBps: next.limits.maxBps }),
  };
}
