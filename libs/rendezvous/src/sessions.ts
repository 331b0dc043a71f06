import { newSessionId } from "./address.ts";
import type { Directory } from "./cluster/directory.ts";
import type { EndReason } from "./cluster/entry.ts";
import type { SessionState } from "./cluster/frames.ts";
import type { Mesh } from "./cluster/mesh.ts";
import { CloseCode, ERRORS, type SignalingErrorCode } from "./codes.ts";
import type { Core } from "./core.ts";
import { type Addressing, bodyType, completeFrame, encodeBody } from "./envelope.ts";
import type { Principal } from "./io.ts";
import type { ErrorReport, ServerData, ServerType } from "./messages/server.ts";
import { type Connection, Session } from "./session.ts";

/** The sessions of this replica: how they begin, speak, wait and end. */
export class Sessions {
  readonly #core: Core;
  readonly #directory: Directory;
  readonly #mesh: Mesh;
  readonly #sessions = new Map<string, Session>();
  readonly #watchers = new Map<string, Map<string, Set<Session>>>();
  readonly #closed: (connection: Connection) => void;

  /** `closed` is called for each connection that is closed from here. */
  constructor(core: Core, directory: Directory, mesh: Mesh, closed: (connection: Connection) => void) {
    this.#core = core;
    this.#directory = directory;
    this.#mesh = mesh;
    this.#closed = closed;
  }

  get count(): number {
    return this.#sessions.size;
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  all(): Iterable<Session> {
    return [...this.#sessions.values()];
  }

  create(principal: Principal): Session {
    const session = new Session(newSessionId(this.#core.random), principal, this.#core.limits, this.#core.now);
    this.#sessions.set(session.id, session);
    return session;
  }

  restore(state: SessionState): Session {
    const session = Session.restore(state, this.#core.limits, this.#core.now);
    this.#sessions.set(session.id, session);
    for (const user of session.watches) this.watch(session, user);
    return session;
  }

  /** Tells all replicas how the session is now. */
  publish(session: Session): void {
    const entry = session.entry();
    this.#directory.put(entry, this.#core.self);
    this.#mesh.broadcast({ op: "put", entry });
  }

  /** A message that is repeated until the client acknowledges it. */
  send<Type extends ServerType>(
    session: Session,
    type: Type,
    data: ServerData[Type],
    addressing?: Addressing,
  ): "ok" | "gone" {
    return this.sendBody(session, encodeBody(type, data, addressing));
  }

  sendBody(session: Session, body: string): "ok" | "gone" {
    if (this.#sessions.get(session.id) !== session) return "gone";
    const message = session.outbox.push(body);
    if (message === undefined) {
      this.#core.event({ name: "outbox-overflow" });
      this.end(session, "slow_consumer", "slow_consumer");
      return "gone";
    }
    if (session.open !== undefined) this.#transmit(session, session.open, message.seq, message.body);
    return "ok";
  }

  /** Sends again what the client has not got. */
  replay(session: Session, after: number): void {
    const { open } = session;
    if (open === undefined) return;
    for (const { seq, body } of session.outbox.after(after)) this.#transmit(session, open, seq, body);
  }

  /** A message outside the sequence: not repeated. */
  control<Type extends ServerType>(
    connection: Connection,
    type: Type,
    data: ServerData[Type],
    addressing?: Addressing,
  ): void {
    const { session } = connection;
    const ack = session?.open === connection ? this.#takeAck(session) : 0;
    this.#put(connection, type, completeFrame(0, ack, encodeBody(type, data, addressing)));
  }

  /** Refuses one message; the session goes on. */
  refuse(session: Session, code: SignalingErrorCode, re?: number, id?: string, detail?: string): void {
    this.#core.refused(code, session.open?.id);
    this.send(session, "error", errorReport(code, re, detail), { id });
  }

  /** Notes that a message is dealt with; the acknowledgement goes with the next message, or soon. */
  complete(session: Session, seq: number): void {
    session.inbox.complete(seq);
    this.scheduleAck(session);
  }

  scheduleAck(session: Session): void {
    const key = `ack ${session.id}`;
    if (this.#core.deadlines.has(key)) return;
    this.#core.deadlines.set(key, this.#core.now + this.#core.limits.ackDelayMs, () => {
      const { open } = session;
      if (open !== undefined) this.control(open, "ack", {});
    });
  }

  /** Closes a connection, after an error that says why if there is a `code`. Its session waits to be resumed. */
  close(connection: Connection, code: SignalingErrorCode, detail?: string, re?: number): void {
    this.#core.refused(code, connection.id);
    this.control(connection, "error", errorReport(code, re, detail));
    this.hangUp(connection, ERRORS[code].close ?? CloseCode.BadMessage, code);
    this.release(connection);
  }

  hangUp(connection: Connection, code: number, reason: string): void {
    this.#core.emit({ kind: "close", connection: connection.id, code, reason });
    this.#closed(connection);
  }

  /** The connection is gone: its session, if it has one, waits to be resumed; one that never opened ends. */
  release(connection: Connection): void {
    const { session } = connection;
    connection.session = undefined;
    if (session?.holder !== connection) return;
    session.holder = undefined;
    session.open = undefined;
    this.#core.deadlines.clear(`ack ${session.id}`);
    if (session.everOpened) this.#suspend(session);
    else this.end(session, "bye");
  }

  /** Ends the session for good, everywhere. */
  end(session: Session, reason: EndReason, code?: SignalingErrorCode): void {
    if (!this.#forget(session)) return;
    const { holder } = session;
    session.holder = undefined;
    if (holder !== undefined) {
      if (code !== undefined) this.close(holder, code);
      else this.hangUp(holder, CloseCode.Normal, reason);
      holder.session = undefined;
    }
    this.#directory.remove(session.id, this.#core.self, reason);
    this.#mesh.broadcast({ op: "del", id: session.id, reason });
    this.#note(session, "ended", reason);
  }

  /** Gives the session to another replica. */
  handOver(session: Session, to: string): SessionState {
    const { holder } = session;
    const state = session.state();
    this.#forget(session);
    if (holder !== undefined) this.#supersede(holder);
    this.#directory.move(session.id, this.#core.self, to);
    this.#mesh.broadcast({ op: "moved", id: session.id, owner: to });
    return state;
  }

  /** Takes the session from the connection that has it: only one may. */
  fence(session: Session): void {
    const { holder } = session;
    session.holder = undefined;
    session.open = undefined;
    if (holder !== undefined) this.#supersede(holder);
  }

  /** Sets when the session ends unless its client shows a newer token. */
  guardExpiry(session: Session): void {
    this.#core.deadlines.set(`auth ${session.id}`, session.authExpiresAt, () =>
      this.end(session, "auth_expired", "auth_expired"),
    );
  }

  opened(session: Session, resumed: boolean): void {
    session.everOpened = true;
    this.#core.deadlines.clear(`suspended ${session.id}`);
    this.#note(session, resumed ? "resumed" : "opened");
  }

  watch(session: Session, user: string): void {
    session.watches.add(user);
    let users = this.#watchers.get(session.tenant);
    if (users === undefined) {
      users = new Map();
      this.#watchers.set(session.tenant, users);
    }
    const watchers = users.get(user);
    if (watchers === undefined) users.set(user, new Set([session]));
    else watchers.add(session);
  }

  unwatch(session: Session, user: string): void {
    session.watches.delete(user);
    const users = this.#watchers.get(session.tenant);
    const watchers = users?.get(user);
    watchers?.delete(session);
    if (watchers?.size === 0) users?.delete(user);
    if (users?.size === 0) this.#watchers.delete(session.tenant);
  }

  watchersOf(tenant: string, user: string): readonly Session[] {
    return [...(this.#watchers.get(tenant)?.get(user) ?? [])];
  }

  #supersede(connection: Connection): void {
    connection.session = undefined;
    this.#core.refused("superseded", connection.id);
    this.#put(connection, "error", completeFrame(0, 0, encodeBody("error", errorReport("superseded"))));
    this.hangUp(connection, CloseCode.Superseded, "superseded");
  }

  #suspend(session: Session): void {
    const { now, limits, deadlines } = this.#core;
    this.publish(session);
    deadlines.set(`suspended ${session.id}`, now + limits.resumeTtlMs, () => this.end(session, "expired"));
    this.#note(session, "suspended");
  }

  #forget(session: Session): boolean {
    if (this.#sessions.get(session.id) !== session) return false;
    this.#sessions.delete(session.id);
    for (const kind of ["ack", "auth", "suspended"]) this.#core.deadlines.clear(`${kind} ${session.id}`);
    for (const user of [...session.watches]) this.unwatch(session, user);
    return true;
  }

  #takeAck(session: Session): number {
    this.#core.deadlines.clear(`ack ${session.id}`);
    return session.inbox.ack;
  }

  #transmit(session: Session, connection: Connection, seq: number, body: string): void {
    this.#put(connection, bodyType(body), completeFrame(seq, this.#takeAck(session), body));
  }

  #put(connection: Connection, type: string, text: string): void {
    this.#core.emit({ kind: "send", connection: connection.id, text });
    this.#core.event({ name: "message", direction: "out", type });
  }

  #note(session: Session, change: "opened" | "resumed" | "suspended" | "ended", reason?: string): void {
    const { id, tenant, user } = session;
    this.#core.event({
      name: "session",
      change,
      session: id,
      tenant,
      user,
      ...(reason === undefined ? {} : { reason }),
    });
  }
}

export function errorReport(code: SignalingErrorCode, re?: number, detail?: string): ErrorReport {
  const { text, retryAfter } = ERRORS[code];
  return {
    code,
    message: detail === undefined ? text : `${text}: ${detail}`,
    ...(re === undefined ? {} : { re }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}
