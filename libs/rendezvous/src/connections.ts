import type { Directory } from "./cluster/directory.ts";
import type { Mesh } from "./cluster/mesh.ts";
import { CloseCode, ERRORS } from "./codes.ts";
import type { Core } from "./core.ts";
import { type ClientFrame, type FrameResult, type Header, parseClientFrame } from "./envelope.ts";
import type { HandledType, Handlers } from "./handlers.ts";
import type { ConnectionId, Principal } from "./io.ts";
import { CLIENT_MESSAGES } from "./messages/client.ts";
import type { Resumption } from "./resume.ts";
import { mintResumeToken } from "./resume-token.ts";
import type { Connection, Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import { type Admission, TokenBucket } from "./token-bucket.ts";

type Hello = ClientFrame<"hello">;

/** What every message costs before it is read; no type costs less. */
const READING_COST = 0.2;

interface Opening {
  readonly resumed: boolean;
  readonly gap: boolean;
  readonly after: number;
}

/** The connections: from `welcome` over `hello` to the messages of a session. */
export class Connections {
  readonly #core: Core;
  readonly #directory: Directory;
  readonly #mesh: Mesh;
  readonly #sessions: Sessions;
  readonly #resumption: Resumption;
  readonly #handlers: Handlers;
  readonly #connections: Map<ConnectionId, Connection>;

  constructor(parts: {
    readonly core: Core;
    readonly directory: Directory;
    readonly mesh: Mesh;
    readonly sessions: Sessions;
    readonly resumption: Resumption;
    readonly handlers: Handlers;
    readonly connections: Map<ConnectionId, Connection>;
  }) {
    this.#core = parts.core;
    this.#directory = parts.directory;
    this.#mesh = parts.mesh;
    this.#sessions = parts.sessions;
    this.#resumption = parts.resumption;
    this.#handlers = parts.handlers;
    this.#connections = parts.connections;
  }

  handleOpen(id: ConnectionId): void {
    const { limits, now, deadlines } = this.#core;
    const bucket = new TokenBucket(limits.messagesPerSecond, limits.messageBurst, now);
    const connection: Connection = { id, phase: "new", session: undefined, bucket, violations: 0 };
    this.#connections.set(id, connection);
    deadlines.set(`hello ${id}`, now + limits.helloTimeoutMs, () => this.#sessions.close(connection, "hello_timeout"));
    const { helloTimeoutMs, messageBytes } = limits;
    this.#sessions.control(connection, "welcome", { helloTimeoutMs, maxMessageBytes: messageBytes });
  }

  /** `clean`: the client closed it with 1000 (RFC 6455 section 7.4.1), it will not resume. */
  handleClosed(id: ConnectionId, clean: boolean): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    this.#connections.delete(id);
    this.#core.deadlines.clear(`hello ${id}`);
    const { session } = connection;
    this.#sessions.release(connection);
    if (clean && session !== undefined && session.holder === undefined) this.#sessions.end(session, "bye");
  }

  handleText(id: ConnectionId, text: string): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    const bucket = connection.session?.bucket ?? connection.bucket;
    const reading = bucket.take(READING_COST, this.#core.now);
    if (reading === "flood") {
      this.#sessions.close(connection, "flood");
      return;
    }
    const result = parseClientFrame(text, this.#core.limits);
    const type = result.ok ? result.frame.type : "invalid";
    this.#core.event({ name: "message", direction: "in", type });
    const cost = result.ok ? CLIENT_MESSAGES[result.frame.type].cost : 1;
    const admission = bucket.take(cost - READING_COST, this.#core.now);
    if (!result.ok && ERRORS[result.code].close !== undefined) {
      this.#sessions.close(connection, result.code, result.detail, result.header?.seq);
      return;
    }
    this.#handleSound(connection, result, admission);
  }

  /** Sends `goaway` to all. */
  announceDrain(graceMs: number): void {
    for (const connection of this.#connections.values()) this.#sessions.control(connection, "goaway", { graceMs });
  }

  closeAll(): void {
    for (const connection of [...this.#connections.values()]) {
      this.#sessions.hangUp(connection, CloseCode.GoingAway, "goaway");
    }
  }

  #handleSound(connection: Connection, result: FrameResult, admission: Admission): void {
    const header = result.ok ? result.frame : result.header;
    if (header === undefined) return;
    if (header.from !== undefined && header.from !== connection.session?.address) {
      this.#sessions.close(connection, "forged_from", undefined, header.seq);
      return;
    }
    const { session } = connection;
    if (connection.phase !== "open" || session === undefined) {
      if (result.ok && result.frame.type === "hello" && connection.phase === "new")
        this.#hello(connection, result.frame);
      else this.#sessions.close(connection, "hello_expected", result.ok ? undefined : result.detail);
      return;
    }
    if (!session.outbox.acknowledge(header.ack)) {
      this.#sessions.close(connection, "bad_sequence", "ack", header.seq);
      return;
    }
    if (header.seq === 0) this.#handleControl(connection, session, result);
    else this.#handleSequenced(connection, session, result, header, admission);
  }

  #handleControl(connection: Connection, session: Session, result: FrameResult): void {
    if (!result.ok) {
      this.#sessions.close(connection, "bad_message", result.detail);
      return;
    }
    const { frame } = result;
    if (frame.type === "ping") this.#sessions.control(connection, "pong", {}, { id: frame.id });
    else if (frame.type === "bye") this.#sessions.end(session, "bye");
    else if (frame.type === "hello") this.#renew(connection, session, frame);
  }

  #handleSequenced(
    connection: Connection,
    session: Session,
    result: FrameResult,
    header: Header,
    admission: Admission,
  ): void {
    const { seq, id } = header;
    const place = session.inbox.accept(seq);
    if (place === "duplicate") {
      this.#sessions.scheduleAck(session);
      return;
    }
    if (place === "hole") {
      this.#sessions.close(connection, "bad_sequence", `seq ${session.inbox.received + 1} is next`, seq);
      return;
    }
    if (admission !== "ok" || session.inbox.pending > this.#core.limits.pendingMessages) {
      this.#sessions.refuse(session, "rate_limited", seq, id);
      this.#sessions.complete(session, seq);
      return;
    }
    const outcome = result.ok
      ? this.#handlers.handle(session, onlyHandled(result.frame))
      : { refused: result.code, detail: result.detail };
    if (outcome === "pending") return;
    if (outcome !== "done") {
      this.#sessions.refuse(session, outcome.refused, seq, id, outcome.detail);
      if (ERRORS[outcome.refused].violation) connection.violations++;
    }
    this.#sessions.complete(session, seq);
    if (connection.violations > this.#core.limits.violations) this.#sessions.close(connection, "too_many_violations");
  }

  #hello(connection: Connection, frame: Hello): void {
    connection.phase = "busy";
    const { auth, resume, lastSeq = 0 } = frame.data;
    const proceed = (principal: Principal | undefined): void => {
      if (resume !== undefined) this.#resume(connection, frame, resume, lastSeq, principal);
      else if (principal !== undefined) this.#openNew(connection, frame, principal, false);
    };
    if (auth === undefined) proceed(undefined);
    else this.#authenticate(connection, auth, proceed);
  }

  #authenticate(connection: Connection, token: string, accepted: (principal: Principal) => void): void {
    this.#core.verify(token, (result) => {
      if (this.#connections.get(connection.id) !== connection) return;
      if (result.ok && result.principal.expiresAt > this.#core.now) {
        accepted(result.principal);
        return;
      }
      this.#core.refused(`auth_${result.ok ? "expired" : result.reason}`, connection.id);
      this.#sessions.close(connection, "unauthenticated");
    });
  }

  #resume(
    connection: Connection,
    frame: Hello,
    token: string,
    lastSeq: number,
    principal: Principal | undefined,
  ): void {
    this.#resumption.resume(token, lastSeq, principal, (result) => {
      const alive = this.#connections.get(connection.id) === connection;
      if (!result.ok) {
        this.#core.event({ name: "resume", outcome: result.why });
        if (!alive) return;
        if (principal !== undefined) this.#openNew(connection, frame, principal, true);
        else this.#sessions.close(connection, "resume_refused");
        return;
      }
      const { session, gap, moved } = result;
      this.#core.event({ name: "resume", outcome: gap ? "gap" : "replayed" });
      session.everOpened = true;
      if (principal !== undefined) this.#adopt(session, principal);
      this.#sessions.guardExpiry(session);
      connection.session = session;
      session.holder = connection;
      if (!alive) {
        this.#sessions.publish(session);
        this.#sessions.release(connection);
        return;
      }
      this.#register(connection, session, frame, { resumed: true, gap, after: lastSeq }, moved);
    });
  }

  #openNew(connection: Connection, frame: Hello, principal: Principal, gap: boolean): void {
    if (!this.#makeRoom(principal)) {
      this.#sessions.close(connection, "too_many_sessions");
      return;
    }
    const session = this.#sessions.create(principal);
    session.epoch = 1;
    connection.session = session;
    session.holder = connection;
    this.#sessions.guardExpiry(session);
    this.#register(connection, session, frame, { resumed: false, gap, after: 0 }, false);
  }

  /** Answers once every replica knows the session. */
  #register(connection: Connection, session: Session, frame: Hello, opening: Opening, moved: boolean): void {
    this.#sessions.publish(session);
    this.#mesh.barrier(() => {
      if (session.holder !== connection || connection.session !== session) return;
      const { tenant, user } = session;
      if (!opening.resumed && this.#directory.ofUser(tenant, user).length > this.#core.limits.sessionsPerUser) {
        this.#sessions.end(session, "refused", "too_many_sessions");
        return;
      }
      this.#attach(connection, session, frame, opening);
      if (moved) this.#handlers.refresh(session);
    });
  }

  #attach(connection: Connection, session: Session, frame: Hello, { resumed, gap, after }: Opening): void {
    this.#core.deadlines.clear(`hello ${connection.id}`);
    connection.phase = "open";
    session.open = connection;
    this.#sessions.opened(session, resumed);
    if (!this.#greet(connection, session, frame, resumed, gap)) return;
    this.#sessions.replay(session, after);
  }

  #greet(connection: Connection, session: Session, frame: Hello, resumed: boolean, gap: boolean): boolean {
    const { limits, signer, random } = this.#core;
    const claims = { session: session.id, epoch: session.epoch, expiresAt: session.authExpiresAt };
    const resumeToken = mintResumeToken(claims, session, signer, random);
    if (resumeToken === undefined) {
      this.#core.refused("auth_no-key", connection.id);
      this.#sessions.end(session, "auth_revoked", "auth_revoked");
      return false;
    }
    const hello = {
      sessionId: session.id,
      address: session.address,
      epoch: session.epoch,
      resumeToken,
      ttl: Math.floor(limits.resumeTtlMs / 1000),
      pingMs: limits.pingMs,
      resumed,
      gap,
      rooms: [...session.rooms],
    };
    this.#sessions.control(connection, "hello", hello, { id: frame.id });
    return true;
  }

  /** A hello within a session: a newer token lengthens it. */
  #renew(connection: Connection, session: Session, frame: Hello): void {
    const { auth, resume } = frame.data;
    if (auth === undefined || resume !== undefined) {
      this.#sessions.close(connection, "bad_message", "only auth can be renewed");
      return;
    }
    this.#authenticate(connection, auth, (principal) => {
      if (session.open !== connection) return;
      if (principal.tenant !== session.tenant || principal.user !== session.user) {
        this.#core.refused("auth_other-user", connection.id);
        this.#sessions.close(connection, "unauthenticated");
        return;
      }
      this.#adopt(session, principal);
      this.#sessions.guardExpiry(session);
      this.#greet(connection, session, frame, true, false);
    });
  }

  #adopt(session: Session, principal: Principal): void {
    session.kid = principal.kid;
    session.issuedAt = principal.issuedAt ?? this.#core.now;
    session.authExpiresAt = principal.expiresAt;
  }

  /** A user at the limit loses the oldest session that waits to be resumed, if there is one. */
  #makeRoom({ tenant, user }: Principal): boolean {
    const known = this.#directory.ofUser(tenant, user);
    if (known.length < this.#core.limits.sessionsPerUser) return true;
    const oldest = known.find(({ entry }) => !entry.connected);
    if (oldest === undefined) return false;
    const { entry, owner } = oldest;
    const session = this.#sessions.get(entry.id);
    if (session !== undefined) this.#sessions.end(session, "evicted", "evicted");
    else {
      this.#mesh.send(owner, { op: "end", id: entry.id, reason: "evicted" });
      this.#directory.remove(entry.id, owner, "evicted");
    }
    return true;
  }
}

/** Session-level types have `seq` 0 and do not come this far. */
function onlyHandled(frame: ClientFrame): ClientFrame<HandledType> {
  if (frame.type === "hello" || frame.type === "ack" || frame.type === "ping" || frame.type === "bye") {
    throw new Error(`${frame.type} reached the sequence`);
  }
  return frame;
}
