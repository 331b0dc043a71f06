import {
  type AddressErrorCodeValue,
  type AddressFamily,
  Attr,
  attribute,
  ErrorCode,
  reasonPhrase,
} from "@culvert/stun";
import { successOf } from "./allocate-success.ts";
import type { Allocation } from "./allocation.ts";
import { subjectOf } from "./allocations.ts";
import { redirect } from "./alternates.ts";
import { encodeBase64Url } from "./base64.ts";
import type { Core } from "./core.ts";
import type { ClientTuple, Millis, RelayId } from "./io.ts";
import type { Answer, Owner } from "./outputs.ts";
import type { PortNeed } from "./port-pool.ts";
import type { OpenResult, RelaySocket } from "./relay-sockets.ts";
import { refuse, succeed } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";
import type { AllocationSnapshot } from "./snapshot.ts";
import { newRecord } from "./tickets.ts";
import { tupleKey } from "./tuple.ts";

/** What a valid Allocate request asks for. */
export interface AllocatePlan {
  readonly lifetimeSeconds: number;
  /** One relayed address of each. Empty: the reserved one. */
  readonly families: readonly AddressFamily[];
  readonly evenPort: PortNeed;
  /** A RESERVATION-TOKEN of the same user. */
  readonly reservation?: Uint8Array;
  /** The client wants a mobility ticket. */
  readonly mobile: boolean;
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
  /** That others were asked about, who may have granted it. */
  proposal: AllocationSnapshot | undefined;
  question: number | undefined;
}

/** The record would be this much too short-lived, and is written anew. */
const TOLERATED_DELAY_MS = 1000;

/** Allocate requests that wait for their relay sockets or for their admission. One for a 5-tuple. */
export class AllocateAttempts {
  readonly #attempts = new Map<string, Attempt>();

  get size(): number {
    return this.#attempts.size;
  }

  get(client: ClientTuple): { readonly request: AuthenticatedRequest } | undefined {
    return this.#attempts.size === 0 ? undefined : this.#attempts.get(tupleKey(client));
  }

  /** Starts to make the allocation. Takes from the quota of its owner. */
  start(core: Core, request: AuthenticatedRequest, plan: AllocatePlan): void {
    const { client, identity, now } = request;
    const attempt: Attempt = {
      request,
      plan,
      open: new Map(),
      sockets: [],
      reserved: [],
      failures: [],
      proposal: undefined,
      question: undefined,
    };
    this.#attempts.set(tupleKey(client), attempt);
    core.quotas.acquire(identity.owner);
    this.#open(core, attempt, now);
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

  /** Ends the attempts that have one of these sockets. */
  lose(core: Core, lost: ReadonlySet<RelayId>, now: Millis): void {
    for (const attempt of [...this.#attempts.values()]) {
      if (![...attempt.sockets, ...attempt.reserved].some(({ id }) => lost.has(id))) continue;
      core.asks.cancel(attempt.question);
      this.#redirect(core, attempt, now);
    }
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
    if (plan.families.length === 0) this.#admit(core, attempt, now);
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
    if (attempt.open.size === 0) this.#admit(core, attempt, now);
  }

  #admit(core: Core, attempt: Attempt, now: Millis): void {
    const { sockets, plan, request } = attempt;
    if (sockets.length === 0) {
      if (plan.reservation === undefined) this.#redirect(core, attempt, now);
      else this.#fail(core, attempt, ErrorCode.InsufficientCapacity, now);
      return;
    }
    sockets.sort((a, b) => a.family - b.family);
    if (core.config.admission === undefined) {
      this.#complete(core, attempt, now);
      return;
    }
    const { client, message } = request;
    const proposal = proposalOf(core, attempt, now);
    const question = { kind: "admit", allocation: proposal } as const;
    attempt.question = core.asks.ask(question, client, message.transactionId, now, (answer, later) =>
      this.#decide(core, attempt, answer, later),
    );
    if (attempt.question === undefined) this.#decide(core, attempt, undefined, now);
    else attempt.proposal = proposal;
  }

  #decide(core: Core, attempt: Attempt, answer: Answer | undefined, now: Millis): void {
    attempt.question = undefined;
    switch (answer?.kind) {
      case "granted":
        this.#complete(core, attempt, now);
        return;
      case "refused":
        attempt.proposal = undefined;
        this.#fail(core, attempt, ErrorCode.AllocationQuotaReached, now);
        return;
      case "stale":
        attempt.proposal = undefined;
        this.#redirect(core, attempt, now);
        return;
      case "elsewhere":
        attempt.proposal = undefined;
        this.#discard(core, attempt, now);
        core.out.dropped("elsewhere");
        return;
    }
    if (core.config.admission?.onUnavailable === "grant") {
      core.allocations.changed(this.#complete(core, attempt, now));
    } else {
      this.#fail(core, attempt, ErrorCode.ServerError, now);
    }
  }

  #complete(core: Core, attempt: Attempt, now: Millis): Allocation {
    const { plan, sockets, failures, reserved, proposal } = attempt;
    const request = at(attempt.request, now);
    const { client, listener, message, identity } = request;
    this.#attempts.delete(tupleKey(client));
    const lifetimeMs = plan.lifetimeSeconds * 1000;
    const expiresAt = now + lifetimeMs;
    const allocation = core.allocations.create(
      {
        record: proposal?.record ?? newRecord(core.random),
        client,
        listener,
        owner: identity.owner,
        username: identity.username,
        claims: identity.claims,
        createdAt: proposal?.createdAt ?? now,
        transactionId: new Uint8Array(message.transactionId),
        ticket: plan.mobile ? 0 : undefined,
      },
      sockets.map((socket) => ({ socket, expiresAt, granted: { lifetimeMs, until: expiresAt } })),
    );
    core.out.event({
      type: "event",
      name: "allocation-created",
      ...subjectOf(allocation),
      lifetimeSeconds: plan.lifetimeSeconds,
    });
    if (proposal === undefined || now - proposal.createdAt > TOLERATED_DELAY_MS) core.allocations.changed(allocation);
    const tokens = reserved.map((socket) => core.reservations.hold(socket, identity.owner, now));
    allocation.response = succeed(core, request, [
      ...successOf(core, request, allocation, plan.lifetimeSeconds),
      ...tokens.map((token) => attribute(Attr.ReservationToken, token)),
      ...failures.map((failure) => attribute(Attr.AddressErrorCode, failure)),
    ]);
    return allocation;
  }

  #fail(core: Core, attempt: Attempt, code: number, now: Millis): void {
    this.#discard(core, attempt, now);
    refuse(core, at(attempt.request, now), code);
  }

  /** No room here. */
  #redirect(core: Core, attempt: Attempt, now: Millis): void {
    this.#discard(core, attempt, now);
    redirect(core, at(attempt.request, now));
  }

  #discard(core: Core, attempt: Attempt, now: Millis): void {
    const { request, proposal } = attempt;
    this.#attempts.delete(tupleKey(request.client));
    for (const stop of attempt.open.values()) stop(now);
    for (const socket of [...attempt.sockets, ...attempt.reserved]) core.sockets.close(socket);
    core.quotas.release(request.identity.owner);
    if (proposal === undefined) return;
    const { record, tenant, user } = proposal;
    core.out.event({ type: "event", name: "admission-unused", record, tenant, user });
  }
}

/** The allocation as it is going to be. */
function proposalOf(core: Core, { request, plan, sockets }: Attempt, now: Millis): AllocationSnapshot {
  const { client, listener, message, identity } = request;
  const { tenant, user, kid } = identity.owner;
  return {
    version: 1,
    record: newRecord(core.random),
    client,
    transport: listener.transport,
    tenant,
    user,
    ...(kid === undefined ? {} : { kid }),
    username: identity.username,
    claims: identity.claims,
    createdAt: now,
    transaction: encodeBase64Url(message.transactionId),
    ...(plan.mobile ? { ticket: 0 } : {}),
    relays: sockets.map(({ family, slot, local, relayed }) => ({
      family,
      ...(slot === undefined ? {} : { slot }),
      local,
      relayed,
      expiresAt: now + plan.lifetimeSeconds * 1000,
      lifetimeMs: plan.lifetimeSeconds * 1000,
      permissions: [],
      channels: [],
    })),
  };
}

/** The request as it is worked on later. */
function at(request: AuthenticatedRequest, now: Millis): AuthenticatedRequest {
  const { client, listener, message, receivedAt, identity } = request;
  return { client, listener, message, receivedAt, now, identity };
}

function failureOf(family: AddressFamily, code: number): AddressErrorCodeValue {
  return { family, code, reason: reasonPhrase(code) };
}
