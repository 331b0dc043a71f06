import type { Row } from "../row.ts";
import { restart } from "./01-restart.ts";
import { addressMoves } from "./02-address-moves.ts";
import { lostHost } from "./03-lost-host.ts";
import { drain } from "./04-drain.ts";
import { rollingUpgrade } from "./05-rolling-upgrade.ts";
import { anotherRelay } from "./06-another-relay.ts";
import { redisDown } from "./07-redis-down.ts";
import { redisSlow } from "./08-redis-slow.ts";
import { redisFailover } from "./09-redis-failover.ts";
import { flushall } from "./10-flushall.ts";
import { cutOff } from "./11-cut-off.ts";
import { frozen } from "./12-frozen.ts";
import { clocks } from "./13-clocks.ts";
import { natsDown } from "./14-nats-down.ts";
import { credentialGone } from "./15-credential-gone.ts";
import { keyRotation } from "./17-key-rotation.ts";
import { portsExhausted } from "./18-ports-exhausted.ts";
import { reconnectStorm } from "./19-reconnect-storm.ts";
import { descriptors } from "./20-descriptors.ts";

/** All faults, in the order of their numbers. Row 16 is the signaling service's, row 21 the soak's. */
export const ROWS: readonly Row[] = [
  restart,
  addressMoves,
  lostHost,
  drain,
  rollingUpgrade,
  anotherRelay,
  redisDown,
  redisSlow,
  redisFailover,
  flushall,
  cutOff,
  frozen,
  clocks,
  natsDown,
  credentialGone,
  keyRotation,
  portsExhausted,
  reconnectStorm,
  descriptors,
];
