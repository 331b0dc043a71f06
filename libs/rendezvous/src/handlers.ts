import { formatPeer, parsePeer } from "./address.ts";
import type { Directory, DirectoryChange, DirectoryRecord } from "./cluster/directory.ts";
import type { SessionEntry } from "./cluster/entry.ts";
import type { Mesh } from "./cluster/mesh.ts";
import type { Router } from "./cluster/router.ts";
import type { SignalingErrorCode } from "./codes.ts";
import type { Core } from "./core.ts";
import { type ClientFrame, encodeBody, encodePassed, type PassedType } from "./envelope.ts";
import type { ClientType } from "./messages/client.ts";
import type { PeerState, ServerData } from "./messages/server.ts";
import type { Session } from "./session.ts";
import { errorReport, type Sessions } from "./sessions.ts";

export type HandledType = Exclude<ClientType, "hello" | "ack" | "ping" | "bye">;

/** `pending`: the handler completes the message itself, later. */
export type Outcome = "done" | "pending" | { readonly refused: SignalingErrorCode; readonly detail?: string };

type Table = { readonly [Type in HandledType]: (session: Session, frame: ClientFrame<Type>) => Outcome };

const refused = (code: SignalingErrorCode, detail?: string): Outcome => ({
  refused: code,
  ...(detail === undefined ? {} : { detail }),
});

/** What each type of message does, and what changes of the directory are told to whom. */
export class Handlers {
  readonly #core: Core;
  readonly #directory: Directory;
  readonly #mesh: Mesh;
  readonly #sessions: Sessions;
  readonly #router: Router;

  readonly #table: Table = {
    "endpoints.update": (session, { data }) => {
      session.reports = { ...session.reports, endpoints: data };
      return "done";
    },
    "nat.report": (session, { data }) => {
      session.reports = { ...session.reports, nat: data };
      return "done";
    },
    "room.join": (session, frame) => this.#join(session, frame),
    "room.leave": (session, { room = "", id }) => {
      if (!session.rooms.delete(room)) return refused("not_in_room");
      session.joining.delete(room);
      this.#sessions.publish(session);
      this.#sessions.send(session, "room.leave", {}, { id, room });
      return "done";
    },
    "room.event": (session, { room = "", id, seq, data }) => {
      if (!session.rooms.has(room)) return refused("not_in_room");
      const members = this.#othersIn(session, room);
      const body = encodeBody("room.event", data, { id, room, from: session.address });
      return this.#deliver(session, members, body, seq, () => {});
    },
    "presence.set": (session, { data }) => {
      session.status = data.status;
      session.note = data.note;
      this.#sessions.publish(session);
      return "done";
    },
    "presence.get": (session, { data, id }) => {
      this.#reportPresence(session, data.users, id);
      return "done";
    },
    "presence.watch": (session, { data, id }) => {
      const wanted = new Set([...session.watches, ...data.users]);
      if (wanted.size > this.#core.limits.watchesPerSession) return refused("too_many_watches");
      for (const user of data.users) this.#sessions.watch(session, user);
      this.#reportPresence(session, data.users, id);
      return "done";
    },
    "presence.unwatch": (session, { data }) => {
      for (const user of data.users) this.#sessions.unwatch(session, user);
      return "done";
    },
    "connect.request": (session, frame) => this.#pass(session, frame),
    "ice.desc": (session, frame) => this.#pass(session, frame),
    "ice.candidate": (session, frame) => this.#pass(session, frame),
    "ice.restart": (session, frame) => this.#pass(session, frame),
    "path.update": (session, frame) => (frame.to === undefined ? "done" : this.#pass(session, frame)),
    "attempt.result": (session, frame) => {
      this.#core.event({ name: "attempt", ok: frame.data.ok, ms: frame.data.ms });
      return frame.to === undefined ? "done" : this.#pass(session, frame);
    },
  };

  constructor(parts: {
    readonly core: Core;
    readonly directory: Directory;
    readonly mesh: Mesh;
    readonly sessions: Sessions;
    readonly router: Router;
  }) {
    this.#core = parts.core;
    this.#directory = parts.directory;
    this.#mesh = parts.mesh;
    this.#sessions = parts.sessions;
    this.#router = parts.router;
  }

  handle<Type extends HandledType>(session: Session, frame: ClientFrame<Type>): Outcome {
    const handler: Table[Type] = this.#table[frame.type];
    return handler(session, frame);
  }

  /** Tells the sessions here what a change of the directory means to them. */
  handleChange(change: DirectoryChange): void {
    const { entry } = change;
    if (change.kind === "presence") {
      const update = presenceUpdate(entry, change.online);
      for (const watcher of this.#sessions.watchersOf(entry.tenant, entry.user)) {
        if (watcher.id !== entry.id) this.#sessions.send(watcher, "presence.update", update);
      }
      return;
    }
    const peer = formatPeer(entry.user, entry.id);
    const event =
      change.kind === "join" ? { event: change.kind, peer } : { event: change.kind, peer, reason: change.reason };
    const body = encodeBody("room.event", event, { room: change.room });
    for (const member of this.#directory.inRoom(entry.tenant, change.room)) {
      const session = this.#sessions.get(member.entry.id);
      if (session === undefined || session.id === entry.id || session.joining.has(change.room)) continue;
      this.#sessions.sendBody(session, body);
    }
  }

  /** After a session came from another replica: what may have changed while it was under way. */
  refresh(session: Session): void {
    for (const room of session.rooms) this.#welcomeToRoom(session, room);
    const users = [...session.watches];
    for (let at = 0; at < users.length; at += 64) this.#reportPresence(session, users.slice(at, at + 64));
  }

  #join(session: Session, { room = "", id, seq }: ClientFrame<"room.join">): Outcome {
    const { limits } = this.#core;
    const { tenant } = session;
    if (session.joining.has(room)) return refused("rate_limited", "the room is being joined");
    if (session.rooms.has(room)) {
      this.#welcomeToRoom(session, room, id);
      return "done";
    }
    if (session.rooms.size >= limits.roomsPerSession) return refused("too_many_rooms");
    if (this.#directory.inRoom(tenant, room).length >= limits.membersPerRoom) return refused("room_full");
    session.rooms.add(room);
    session.joining.add(room);
    this.#sessions.publish(session);
    this.#mesh.barrier(() => {
      this.#sessions.complete(session, seq);
      if (!session.joining.delete(room)) return;
      // Others may have joined elsewhere at the same moment: then all those step back.
      if (this.#directory.inRoom(tenant, room).length > limits.membersPerRoom) {
        session.rooms.delete(room);
        this.#sessions.publish(session);
        this.#sessions.refuse(session, "room_full", seq, id);
        return;
      }
      this.#welcomeToRoom(session, room, id);
    });
    return "pending";
  }

  #welcomeToRoom(session: Session, room: string, id?: string): void {
    const members = this.#othersIn(session, room).map(({ entry }) => peerState(entry));
    this.#sessions.send(session, "room.join", { members }, { id, room });
  }

  #pass(session: Session, frame: ClientFrame<PassedType>): Outcome {
    const { to = "", room, id, seq } = frame;
    if (room !== undefined && !session.rooms.has(room)) return refused("not_in_room");
    const targets = this.#resolve(session, to).filter(({ entry }) => room === undefined || entry.rooms.includes(room));
    if (targets.length === 0) return refused("peer_unavailable");
    const body = encodePassed(frame, session.address);
    return this.#deliver(session, targets, body, seq, () => {
      this.#core.refused("peer_unavailable", session.open?.id);
      const error = encodeBody("error", errorReport("peer_unavailable", seq), { id });
      // By now the sender itself may be on another replica.
      this.#router.deliver(session.id, error, () => {});
    });
  }

  /** Only within the tenant, which is why an address of another tenant is an unknown one. */
  #resolve(session: Session, to: string): readonly DirectoryRecord[] {
    const address = parsePeer(to);
    if (address === undefined) return [];
    if (address.session === undefined) {
      return this.#directory.ofUser(session.tenant, address.user).filter(({ entry }) => entry.id !== session.id);
    }
    const record = this.#directory.get(address.session);
    if (record === undefined) return [];
    if (record.entry.tenant !== session.tenant) {
      this.#core.refused("cross_tenant", session.open?.id);
      return [];
    }
    return record.entry.user === address.user ? [record] : [];
  }

  /** Completes message `seq` when all targets have answered; `failed` is called if none took it. */
  #deliver(
    session: Session,
    targets: readonly DirectoryRecord[],
    body: string,
    seq: number,
    failed: () => void,
  ): Outcome {
    let open = targets.length;
    let taken = 0;
    if (open === 0) return "done";
    for (const { entry } of targets) {
      this.#router.deliver(entry.id, body, (outcome) => {
        open--;
        if (outcome === "ok") taken++;
        if (open > 0) return;
        if (taken === 0) failed();
        this.#sessions.complete(session, seq);
      });
    }
    return "pending";
  }

  #othersIn(session: Session, room: string): readonly DirectoryRecord[] {
    return this.#directory.inRoom(session.tenant, room).filter(({ entry }) => entry.id !== session.id);
  }

  #reportPresence(session: Session, users: readonly string[], id?: string): void {
    const states = users.map((user) => ({
      user,
      peers: this.#directory.ofUser(session.tenant, user).map(({ entry }) => peerState(entry)),
    }));
    this.#sessions.send(session, "presence.state", { users: states }, { id });
  }
}

function peerState({ id, user, status, note, connected }: SessionEntry): PeerState {
  return { peer: formatPeer(user, id), status, ...(note === undefined ? {} : { note }), connected };
}

function presenceUpdate({ id, user, status, note }: SessionEntry, online: boolean): ServerData["presence.update"] {
  const peer = formatPeer(user, id);
  if (!online) return { user, peer, online };
  return { user, peer, online, status, ...(note === undefined ? {} : { note }) };
}
