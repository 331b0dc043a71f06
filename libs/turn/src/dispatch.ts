import { Attr, attribute, ErrorCode, MessageClass, Method } from "@culvert/stun";
import { handleAllocate } from "./allocate.ts";
import { type AuthRefusal, authenticate, challenge } from "./authentication.ts";
import type { KnownCredential, RejectedCredential } from "./authenticator.ts";
import { handleBinding } from "./binding.ts";
import { handleChannelBind } from "./channel-bind.ts";
import { handleSend } from "./client-data.ts";
import type { Core } from "./core.ts";
import { handleCreatePermission } from "./create-permission.ts";
import { handleRefresh } from "./refresh.ts";
import { refuse } from "./reply.ts";
import type { AuthenticatedRequest, Identity, Request } from "./request.ts";
import { sameTransaction } from "./tuple.ts";

const OPEN_REQUESTS: ReadonlyMap<number, (core: Core, request: Request) => void> = new Map([
  [Method.Binding, handleBinding],
]);

const AUTHENTICATED_REQUESTS: ReadonlyMap<number, (core: Core, request: AuthenticatedRequest) => void> = new Map([
  [Method.Allocate, handleAllocate],
  [Method.Refresh, handleRefresh],
  [Method.CreatePermission, handleCreatePermission],
  [Method.ChannelBind, handleChannelBind],
]);

const INDICATIONS: ReadonlyMap<number, (core: Core, request: Request) => void> = new Map([
  [Method.Send, handleSend],
  // A keep-alive of the client's NAT binding.
  [Method.Binding, () => {}],
]);

/** The comprehension-required attributes that this server acts on, or may see and knows that it need not. */
const UNDERSTOOD: ReadonlySet<number> = new Set(
  [
    Attr.MappedAddress,
    Attr.Username,
    Attr.MessageIntegrity,
    Attr.ErrorCode,
    Attr.UnknownAttributes,
    Attr.ChannelNumber,
    Attr.Lifetime,
    Attr.XorPeerAddress,
    Attr.Data,
    Attr.Realm,
    Attr.Nonce,
    Attr.XorRelayedAddress,
    Attr.RequestedAddressFamily,
    Attr.EvenPort,
    Attr.RequestedTransport,
    Attr.DontFragment,
    Attr.MessageIntegritySha256,
    Attr.PasswordAlgorithm,
    Attr.UserHash,
    Attr.XorMappedAddress,
    Attr.ReservationToken,
  ].map(({ type }) => type),
);

const CLASSES: ReadonlyMap<number, (core: Core, request: Request) => void> = new Map([
  [MessageClass.Request, handleRequest],
  [MessageClass.Indication, handleIndication],
]);

/** Takes a STUN message from a client to its handler. */
export function dispatch(core: Core, request: Request): void {
  const handle = CLASSES.get(request.message.class);
  if (handle === undefined) {
    core.out.dropped("unexpected-class");
    return;
  }
  handle(core, request);
}

function handleIndication(core: Core, request: Request): void {
  const { message } = request;
  const handle = INDICATIONS.get(message.method);
  if (handle === undefined) {
    core.out.dropped("unknown-method");
    return;
  }
  if (message.legacy) {
    core.out.dropped("legacy");
    return;
  }
  if (message.unknownAmong(UNDERSTOOD).length > 0) {
    core.out.dropped("unknown-attribute");
    return;
  }
  handle(core, request);
}

function handleRequest(core: Core, request: Request): void {
  const { message, client } = request;
  const open = OPEN_REQUESTS.get(message.method);
  if (open !== undefined) {
    if (isAcceptable(core, request)) open(core, request);
    return;
  }
  if (!AUTHENTICATED_REQUESTS.has(message.method)) {
    core.out.dropped("unknown-method");
    return;
  }
  if (message.legacy) {
    core.out.dropped("legacy");
    return;
  }
  if (core.asks.has(client, message.transactionId) || isBeingMade(core, request)) {
    core.out.dropped("retransmission");
    return;
  }
  if (core.restores.has(client)) {
    core.out.dropped("restoring");
    return;
  }
  handleProtected(core, request);
}

/** `answer`: what came in for a credential that the authenticator did not know itself. */
function handleProtected(core: Core, request: Request, answer?: KnownCredential | RejectedCredential): void {
  const { message, client, now } = request;
  const result = authenticate(core, request, answer);
  if (result.kind === "refused") {
    refuseUnauthenticated(core, request, result);
    return;
  }
  if (result.kind === "throttled") {
    core.out.dropped("rate-limited");
    return;
  }
  if (result.kind === "ask") {
    if (!core.limiter.allow(client.remote.ip, now)) {
      core.out.dropped("rate-limited");
      return;
    }
    const asked = core.asks.ask(result.question, client, message.transactionId, now, (decided, at) => {
      if (decided?.kind !== "known" && decided?.kind !== "rejected") return core.out.dropped("ask-timeout");
      handleProtected(core, { ...request, now: at }, decided);
    });
    if (asked === undefined) core.out.dropped("pending-full");
    return;
  }
  const authenticated = identified(request, result.identity);
  if (isAcceptable(core, authenticated)) AUTHENTICATED_REQUESTS.get(message.method)?.(core, authenticated);
}

function refuseUnauthenticated(core: Core, request: Request, refusal: AuthRefusal): void {
  const { code, reason, detail, identity } = refusal;
  core.out.event({
    type: "event",
    name: "auth-failed",
    code,
    reason,
    client: request.client,
    ...(detail === undefined ? {} : { detail }),
    ...(identity === undefined ? {} : { tenant: identity.owner.tenant }),
  });
  if (identity !== undefined) {
    refuse(core, identified(request, identity), code);
    return;
  }
  refuse(core, request, code, challenge(core, request, code));
}

function identified(request: Request, identity: Identity): AuthenticatedRequest {
  const { client, listener, message, receivedAt, now } = request;
  return { client, listener, message, receivedAt, now, identity };
}

/** Answers with 420 or 400 where an attribute is unknown or does not parse (RFC 8489 section 6.3.1). */
function isAcceptable(core: Core, request: Request | AuthenticatedRequest): boolean {
  const unknown = request.message.unknownAmong(UNDERSTOOD);
  if (unknown.length > 0) {
    refuse(core, request, ErrorCode.UnknownAttribute, [attribute(Attr.UnknownAttributes, unknown)]);
    return false;
  }
  if (request.message.malformedRequired.length > 0) {
    refuse(core, request, ErrorCode.BadRequest);
    return false;
  }
  return true;
}

function isBeingMade(core: Core, { client, message }: Request): boolean {
  const attempt = core.attempts.get(client)?.request;
  return attempt !== undefined && sameTransaction(attempt.message.transactionId, message.transactionId);
}
