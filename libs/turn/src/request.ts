import type { IntegrityAlgorithm, StunMessage } from "@culvert/stun";
import type { Claims } from "./authenticator.ts";
import type { ListenerConfig } from "./config.ts";
import type { ClientTuple, Millis } from "./io.ts";
import type { Owner } from "./outputs.ts";

/** A message from a client, at the time that it is worked on. */
export interface Request {
  readonly client: ClientTuple;
  readonly listener: ListenerConfig;
  readonly message: StunMessage;
  /** When it came in. Earlier than `now` where the request had to wait. */
  readonly receivedAt: Millis;
  readonly now: Millis;
}

/** Who proved to have sent a request. */
export interface Identity {
  /** `user` is the user name where the credential names no user. */
  readonly owner: Owner;
  readonly username: string;
  readonly claims: Claims;
  /** What the request was protected with, and the response is. */
  readonly key: Uint8Array;
  readonly algorithm: IntegrityAlgorithm;
}

export interface AuthenticatedRequest extends Request {
  readonly identity: Identity;
}
