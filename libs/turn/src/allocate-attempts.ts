import {
  type AddressErrorCodeValue,
  type AddressFamily,
  Attr,
  attribute,
  ErrorCode,
  reasonPhrase,
} from "@culvert/stun";
import type { Core } from "./core.ts";
import type { ClientTuple, Millis } from "./io.ts";
import type { Answer, Owner } from "./outputs.ts";
import type { PortNeed } from "./port-pool.ts";
import type { OpenResult, RelaySocket } from "./relay-sockets.ts";
import { refuse, succeed } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";
import { tupleKey } from "./tuple.ts";

/** What a valid Allocate request asks for. */
export interface AllocatePlan {
  readonly lifetimeSeconds: number;
  /** One relayed address of each. Empty: the reserved one. */
  readonly families: readonly AddressFamily[];
  readonly evenPort: PortNeed;
  /** A RESERVATION-TOKEN of the same user. */
  readonly reservation?: Uint8Array;
}

interface Attempt {
  readonly request: AuthenticatedRequest;
  readonly plan: AllocatePlan;
  /** Families for which no result is in. */
  readonly open: Map<AddressFamily, (now: Millis) => void>;
  readonly sockets: RelaySocket[];
  /** The second socket of a pair. */
  readonly reserved: RelaySocket[];
  readonly failures: AddressErrorCodeValue[];
  question: number | undefined;
  granted: boolean;
}

/** Allocate requests that wait for their fleet quota or for their relay sockets. One for a 5-tuple. */
export class AllocateAttempts {
  readonly #attempts = new Map<string, Attempt>();

  get(client: ClientTuple): { readonly request: AuthenticatedRequest } | undefined {
    return this.#attempts.size === 0 ? undefined : this.#attempts.get(tupleKey(client));
  }

  /** Starts to make the allocation. Takes from the quota of its owner. */
  start(core: Core, request: AuthenticatedRequest, plan: AllocatePlan): void {
    const { client, message, identity, now } = request;
    const attempt: Attempt = {
      request,
      plan,
      open: new Map(),
      sockets: [],
      reserved: [],
      failures: [],
      question: undefined,
      granted: false,
    };
    this.#attempts.set(tupleKey(client), attempt);
    core.quotas.acquire(identity.owner);
    if (!core.config.fleetQuota) {
      this.#open(core, attempt, now);
      return;
    }
    const { tenant, user } = identity.owner;
    const question = { kind: "quota", tenant, user, client } as const;
    attempt.question = core.asks.ask(question, client, message.transactionId, now, (answer, at) =>
      this.#decide(core, attempt, answer, at),
    );
    if (attempt.question === undefined) this.#fail(core, attempt, ErrorCode.ServerError, now);
  }

  /** Drops the attempt of a client without an answer. */
  cancel(core: Core, client: ClientTuple, now: Millis): void {
    const attempt = this.#attempts.get(tupleKey(client));
    if (attempt === undefined) return;
    core.asks.cancel(attempt.question);
    this.#discard(core, attempt, now);
  }

  /** Drops the attempts of the owners that match, without an answer. */
  revoke(core: Core, matches: (owner: Owner, username: string) => boolean, now: Millis): void {
    for (const { request } of [...this.#attempts.values()]) {
      if (matches(request.identity.owner, request.identity.username)) this.cancel(core, request.client, now);
    }
  }

  #decide(core: Core, attempt: Attempt, answer: Answer | undefined, now: Millis): void {
    attempt.question = undefined;
    if (answer?.kind === "granted") {
      attempt.granted = true;
      this.#open(core, attempt, now);
      return;
    }
    const code = answer?.kind === "refused" ? ErrorCode.AllocationQuotaReached : ErrorCode.ServerError;
    this.#fail(core, attempt, code, now);
  }

  #open(core: Core, attempt: Attempt, now: Millis): void {
    const { plan, request } = attempt;
    if (plan.reservation !== undefined) {
      // Time may have passed since the token was checked.
      const socket = core.reservations.claim(plan.reservation, request.identity.owner);
      if (socket !== undefined) attempt.sockets.push(socket);
    }
    for (const family of plan.families) {
      if (core.sockets.supports(family)) attempt.open.set(family, () => {});
      else attempt.failures.push(failureOf(family, ErrorCode.AddressFamilyNotSupported));
    }
    for (const family of [...attempt.open.keys()]) {
      const stop = core.sockets.open(family, plan.evenPort, now, (result, at) =>
        this.#opened(core, attempt, family, result, at),
      );
      if (attempt.open.has(family)) attempt.open.set(family, stop);
    }
    if (plan.families.length === 0) this.#complete(core, attempt, now);
  }

  #opened(core: Core, attempt: Attempt, family: AddressFamily, result: OpenResult, now: Millis): void {
    attempt.open.delete(family);
    if (result.ok) {
      const [socket, next] = result.sockets;
      if (socket !== undefined) attempt.sockets.push(socket);
      if (next !== undefined) attempt.reserved.push(next);
    } else {
      attempt.failures.push(failureOf(family, ErrorCode.InsufficientCapacity));
    }
    if (attempt.open.size === 0) this.#complete(core, attempt, now);
  }

  #complete(core: Core, attempt: Attempt, now: Millis): void {
    const { plan, sockets, failures, reserved } = attempt;
    const request = at(attempt.request, now);
    if (sockets.length === 0) {
      this.#fail(core, attempt, ErrorCode.InsufficientCapacity, now);
      return;
    }
    this.#attempts.delete(tupleKey(request.client));
    sockets.sort((a, b) => a.family - b.family);
    const allocation = core.allocations.create(request, sockets, plan.lifetimeSeconds);
    const tokens = reserved.map((socket) => core.reservations.hold(socket, request.identity.owner, now));
    allocation.response = succeed(core, request, [
      ...sockets.map(({ relayed }) => attribute(Attr.XorRelayedAddress, relayed)),
      attribute(Attr.Lifetime, plan.lifetimeSeconds),
      ...tokens.map((token) => attribute(Attr.ReservationToken, token)),
      attribute(Attr.XorMappedAddress, request.client.remote),
      ...failures.map((failure) => attribute(Attr.AddressErrorCode, failure)),
    ]);
  }

  #fail(core: Core, attempt: Attempt, code: number, now: Millis): void {
    this.#discard(core, attempt, now);
    refuse(core, at(attempt.request, now), code);
  }

  #discard(core: Core, attempt: Attempt, now: Millis): void {
    const { client, identity } = attempt.request;
    this.#attempts.delete(tupleKey(client));
    for (const stop of attempt.open.values()) stop(now);
    for (const socket of [...attempt.sockets, ...attempt.reserved]) core.sockets.close(socket);
    core.quotas.release(identity.owner);
    if (!attempt.granted) return;
    const { tenant, user } = identity.owner;
    core.out.event({ type: "event", name: "quota-unused", tenant, user, client });
  }
}

/** The request as it is worked on later. */
function at({ client, listener, message, identity }: AuthenticatedRequest, now: Millis): AuthenticatedRequest {
  return { client, listener, message, now, identity };
}

function failureOf(family: AddressFamily, code: number): AddressErrorCodeValue {
  return { family, code, reason: reasonPhrase(code) };
}
