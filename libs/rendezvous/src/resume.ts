import type { Directory } from "./cluster/directory.ts";
import type { ClusterOp, DeliveryOutcome, SessionState } from "./cluster/frames.ts";
import type { Mesh } from "./cluster/mesh.ts";
import type { Core } from "./core.ts";
import type { Principal } from "./io.ts";
import { parseResumeToken, type ResumeToken, verifyResumeToken } from "./resume-token.ts";
import type { Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";

export type ResumeRefusal =
  | "malformed"
  | "expired"
  | "unknown"
  | "other-owner"
  | "bad-signature"
  | "replayed"
  | "bad-sequence"
  | "replica-lost";

export type ResumeResult =
  | { readonly ok: true; readonly session: Session; readonly gap: boolean; readonly moved: boolean }
  | { readonly ok: false; readonly why: ResumeRefusal };

interface ClaimRequest {
  readonly id: string;
  readonly epoch: number;
  readonly lastSeq: number;
  /** The client has shown who it is besides: the token may be an earlier one. */
  readonly trusted: boolean;
}

interface Claim {
  readonly session: string;
  readonly owner: string;
  readonly lastSeq: number;
  readonly done: (result: ResumeResult) => void;
  /** Came for the session before the session itself. */
  readonly waiting: { readonly peer: string; readonly n: number; readonly body: string }[];
}

const REFUSALS: readonly string[] = ["unknown", "replayed", "bad-sequence"] satisfies ResumeRefusal[];

/** Finds the session that a resume token names, here or on another replica, and takes it over. */
export class Resumption {
  readonly #core: Core;
  readonly #directory: Directory;
  readonly #mesh: Mesh;
  readonly #sessions: Sessions;
  readonly #claims = new Map<number, Claim>();

  constructor(core: Core, directory: Directory, mesh: Mesh, sessions: Sessions) {
    this.#core = core;
    this.#directory = directory;
    this.#mesh = mesh;
    this.#sessions = sessions;
  }

  /**
   * `principal` is whom a token in the same hello stands for: its holder may resume a session of theirs with a resume
   * token that was used before, as happens when the answer to the last resume was lost.
   */
  resume(text: string, lastSeq: number, principal: Principal | undefined, done: (result: ResumeResult) => void): void {
    const found = this.#find(text, principal);
    if (typeof found === "string") {
      done({ ok: false, why: found });
      return;
    }
    const { token, owner } = found;
    const claim = { id: token.session, epoch: token.epoch, lastSeq, trusted: principal !== undefined };
    if (owner !== this.#core.self) {
      this.#claim(owner, claim, done);
      return;
    }
    const session = this.#sessions.get(token.session);
    const refusal = this.#refusal(session, claim);
    if (session === undefined || refusal !== undefined) {
      done({ ok: false, why: refusal ?? "unknown" });
      return;
    }
    this.#sessions.fence(session);
    done(this.#take(session, lastSeq, false));
  }

  handleClaim(peer: string, claim: Extract<ClusterOp, { op: "claim" }>): void {
    const session = this.#sessions.get(claim.id);
    const refused = this.#refusal(session, claim);
    if (session === undefined || refused !== undefined) {
      this.#mesh.send(peer, { op: "claimed", n: claim.n, refused: refused ?? "unknown" });
      return;
    }
    this.#mesh.send(peer, { op: "claimed", n: claim.n, state: this.#sessions.handOver(session, peer) });
  }

  handleClaimed(peer: string, op: Extract<ClusterOp, { op: "claimed" }>): void {
    const claim = this.#claims.get(op.n);
    if (claim === undefined || claim.owner !== peer) {
      // Nobody waits for it any more: the session has nowhere to be.
      if (op.state !== undefined) this.#drop(op.state);
      return;
    }
    this.#claims.delete(op.n);
    if (op.state === undefined) {
      this.#answer(claim, "gone");
      claim.done({ ok: false, why: isRefusal(op.refused) ? op.refused : "unknown" });
      return;
    }
    const session = this.#sessions.restore(op.state);
    const result = this.#take(session, claim.lastSeq, true);
    for (const { peer: from, n, body } of claim.waiting) {
      this.#mesh.send(from, { op: "result", n, outcome: this.#sessions.sendBody(session, body) });
    }
    claim.done(result);
  }

  handleLost(peer: string): void {
    for (const [n, claim] of this.#claims) {
      if (claim.owner !== peer) continue;
      this.#claims.delete(n);
      this.#answer(claim, "gone");
      claim.done({ ok: false, why: "replica-lost" });
    }
  }

  /** Keeps a message for a session that is on its way here; false if none is. */
  hold(peer: string, n: number, id: string, body: string): boolean {
    for (const claim of this.#claims.values()) {
      if (claim.session !== id) continue;
      claim.waiting.push({ peer, n, body });
      return true;
    }
    return false;
  }

  #find(
    text: string,
    principal: Principal | undefined,
  ): ResumeRefusal | { readonly token: ResumeToken; readonly owner: string } {
    const token = parseResumeToken(text);
    if (token === undefined) return "malformed";
    if (token.expiresAt <= this.#core.now) return "expired";
    const record = this.#directory.get(token.session);
    if (record === undefined) return "unknown";
    const { entry, owner } = record;
    if (principal !== undefined && (principal.tenant !== entry.tenant || principal.user !== entry.user)) {
      return "other-owner";
    }
    return verifyResumeToken(token, entry, this.#core.signer) ? { token, owner } : "bad-signature";
  }

  #claim(owner: string, request: ClaimRequest, done: (result: ResumeResult) => void): void {
    const n = this.#core.number();
    if (!this.#mesh.send(owner, { op: "claim", n, ...request })) {
      done({ ok: false, why: "unknown" });
      return;
    }
    this.#claims.set(n, { session: request.id, owner, lastSeq: request.lastSeq, done, waiting: [] });
  }

  #refusal(session: Session | undefined, claim: ClaimRequest): "unknown" | "replayed" | "bad-sequence" | undefined {
    if (session === undefined) return "unknown";
    if (!claim.trusted && claim.epoch !== session.epoch) return "replayed";
    return claim.lastSeq > session.outbox.lastSeq ? "bad-sequence" : undefined;
  }

  #take(session: Session, lastSeq: number, moved: boolean): ResumeResult {
    const gap = lastSeq < session.outbox.acked;
    session.outbox.acknowledge(lastSeq);
    session.epoch++;
    return { ok: true, session, gap, moved };
  }

  #answer(claim: Claim, outcome: DeliveryOutcome): void {
    for (const { peer, n } of claim.waiting) this.#mesh.send(peer, { op: "result", n, outcome });
  }

  #drop(state: SessionState): void {
    const session = this.#sessions.restore(state);
    session.epoch++;
    this.#sessions.publish(session);
    this.#sessions.end(session, "lost");
  }
}

function isRefusal(text: string | undefined): text is ResumeRefusal {
  return text !== undefined && REFUSALS.includes(text);
}
