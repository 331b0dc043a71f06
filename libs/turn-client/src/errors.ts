import { formatAddress, type StunMessage, type TransportAddress } from "@culvert/stun";

/**
 * What went wrong:
 * - `response`: the server answered with an error response; `code` and `response` are set
 * - `timeout`: no answer in time
 * - `unreachable`: the name does not resolve, or the network or the host refuses
 * - `tls`: the TLS handshake failed, which includes a certificate that does not verify
 * - `protocol`: the answer is not what the RFC allows
 * - `closed`: the connection is closed
 * - `argument`: the caller asked for what cannot be
 */
export type TurnErrorKind = "response" | "timeout" | "unreachable" | "tls" | "protocol" | "closed" | "argument";

export interface TurnErrorInit {
  readonly kind: TurnErrorKind;
  readonly step: string;
  readonly reason: string;
  readonly code?: number | undefined;
  readonly response?: StunMessage | undefined;
  readonly cause?: unknown;
}

/** Every failure of the client. The message is one line: `Allocate: 401 Unauthenticated`. */
export class TurnError extends Error {
  override readonly name: string = "TurnError";
  readonly kind: TurnErrorKind;
  /** The code of the STUN error response, 300 to 699. Undefined when the failure is not an error response. */
  readonly code: number | undefined;
  /** The server's reason phrase, or what happened. */
  readonly reason: string;
  /** What was tried: `resolve`, `connect`, `send`, or the name of a STUN method (`Allocate`). */
  readonly step: string;
  /** The error response, for its other attributes. */
  readonly response: StunMessage | undefined;

  constructor(init: TurnErrorInit) {
    const what = init.code === undefined ? init.reason : `${init.code} ${init.reason}`;
    super(`${init.step}: ${what}`, init.cause === undefined ? undefined : { cause: init.cause });
    this.kind = init.kind;
    this.code = init.code;
    this.reason = init.reason;
    this.step = init.step;
    this.response = init.response;
  }
}

/** The text of whatever was thrown, without its stack. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The network says that nobody is at `remote`. */
export function refused(remote: TransportAddress, cause: unknown): TurnError {
  const reason = `${formatAddress(remote)}: ${describe(cause)}`;
  return new TurnError({ kind: "unreachable", step: "connect", reason, cause });
}
