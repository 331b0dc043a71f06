import {
  Attr,
  attribute,
  type EncodedAttribute,
  ErrorCode,
  encodeMessage,
  MessageClass,
  type MessageInit,
  reasonPhrase,
} from "@culvert/stun";
import type { Core } from "./core.ts";
import type { AuthenticatedRequest, Request } from "./request.ts";

/** Answers with a success response. Returns its bytes. */
export function succeed(
  core: Core,
  request: Request | AuthenticatedRequest,
  attributes: readonly EncodedAttribute[],
): Uint8Array {
  const bytes = encode(core, request, MessageClass.Success, attributes);
  send(core, request, bytes);
  return bytes;
}

/**
 * Answers with an error response. A source that is not authenticated is told the number only, and no more often than
 * its rate limit lets it.
 */
export function refuse(
  core: Core,
  request: Request | AuthenticatedRequest,
  code: number,
  attributes: readonly EncodedAttribute[] = [],
): void {
  const authenticated = "identity" in request;
  if (!authenticated && !core.limiter.allow(request.client.remote.ip, request.now)) {
    core.out.dropped("rate-limited");
    return;
  }
  const errorCode = attribute(Attr.ErrorCode, { code, reason: authenticated ? reasonPhrase(code) : "" });
  send(core, request, encode(core, request, MessageClass.Error, [errorCode, ...attributes]), code);
}

/** Sends the bytes of a response, again perhaps. */
export function send(core: Core, request: Request | AuthenticatedRequest, bytes: Uint8Array, code?: number): void {
  core.out.push({ type: "send", to: "client", client: request.client, bytes });
  core.out.event({
    type: "event",
    name: "request",
    method: request.message.method,
    transport: request.listener.transport,
    code,
    receivedAt: request.receivedAt,
    challenge: isChallenge(request, code),
    tenant: "identity" in request ? request.identity.owner.tenant : undefined,
  });
}

/** An error that every client meets once, and answers by what it is told: no failure. */
function isChallenge({ message }: Request, code: number | undefined): boolean {
  if (code === ErrorCode.StaleNonce) return true;
  return (
    code === ErrorCode.Unauthenticated &&
    !message.has(Attr.MessageIntegrity) &&
    !message.has(Attr.MessageIntegritySha256)
  );
}

function encode(
  core: Core,
  request: Request | AuthenticatedRequest,
  messageClass: MessageClass,
  attributes: readonly EncodedAttribute[],
): Uint8Array {
  const { message } = request;
  const identity = "identity" in request ? request.identity : undefined;
  const { software } = core.config;
  const init: MessageInit = {
    method: message.method,
    class: messageClass,
    transactionId: message.transactionId,
    legacy: message.legacy,
    attributes:
      identity === undefined || software === undefined
        ? attributes
        : [...attributes, attribute(Attr.Software, software)],
    integrity: identity && { key: identity.key, algorithm: identity.algorithm, crypto: core.crypto },
    fingerprint: message.has(Attr.Fingerprint),
  };
  return encodeMessage(init);
}
