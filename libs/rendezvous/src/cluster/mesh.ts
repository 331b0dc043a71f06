import type { Core } from "../core.ts";
import type { Directory } from "./directory.ts";
import type { ClusterFrame, ClusterOp } from "./frames.ts";
import { Link } from "./link.ts";

interface Barrier {
  waiting: number;
  readonly done: () => void;
}

interface Peer {
  readonly id: string;
  readonly link: Link;
  /** Barriers that wait for an acknowledgement, in the order of their numbers. */
  readonly barriers: { readonly seq: number; readonly barrier: Barrier }[];
  /** While a snapshot arrives: the known entries that it has not confirmed yet. */
  stale: Set<string> | undefined;
}

/** What the mesh leaves to others. */
export interface MeshHandler {
  handleOp(peer: string, op: ClusterOp): void;
  /** The replica is gone, or what was on its way to it is. */
  handleLost(peer: string): void;
}

/** The other replicas: who lives, a link to each, and their part of the directory. */
export class Mesh {
  readonly #core: Core;
  readonly #directory: Directory;
  readonly #handler: MeshHandler;
  readonly #peers = new Map<string, Peer>();
  readonly #dirty = new Set<Peer>();
  #streams = 0;
  #left = false;

  constructor(core: Core, directory: Directory, handler: MeshHandler) {
    this.#core = core;
    this.#directory = directory;
    this.#handler = handler;
  }

  get replicas(): readonly string[] {
    return [...this.#peers.keys()];
  }

  beacon(): void {
    this.#post("*", { kind: "beacon", from: this.#core.self });
    this.#core.deadlines.set("beacon", this.#core.now + this.#core.config.beaconMs, () => this.beacon());
  }

  leave(): void {
    this.#core.deadlines.clear("beacon");
    this.flush();
    this.#post("*", { kind: "leave", from: this.#core.self });
    this.#left = true;
  }

  handle(frame: ClusterFrame): void {
    if (frame.from === this.#core.self) return;
    if (frame.kind === "leave") {
      this.#drop(frame.from, "left");
      return;
    }
    const peer = this.#peers.get(frame.from) ?? this.#meet(frame.from);
    this.#core.deadlines.set(`peer ${peer.id}`, this.#core.now + this.#core.config.replicaTimeoutMs, () =>
      this.#drop(peer.id, "lost"),
    );
    if (frame.kind === "beacon") return;
    const input = peer.link.handle(frame);
    this.#dirty.add(peer);
    if (input.forgotten) this.#startAfresh(peer);
    else this.#acknowledged(peer);
    for (const op of input.ops) this.#handleOp(peer, op);
  }

  /** False if the replica is not there. */
  send(peerId: string, op: ClusterOp): boolean {
    const peer = this.#peers.get(peerId);
    if (peer === undefined) return false;
    peer.link.queue(op);
    this.#dirty.add(peer);
    return true;
  }

  broadcast(op: ClusterOp): void {
    for (const peer of this.#peers.values()) {
      peer.link.queue(op);
      this.#dirty.add(peer);
    }
  }

  /** Calls `done` when every replica that lives has all that was sent to it so far; at once if all have. */
  barrier(done: () => void): void {
    const barrier: Barrier = { waiting: 0, done };
    for (const peer of this.#peers.values()) {
      if (peer.link.idle) continue;
      barrier.waiting++;
      peer.barriers.push({ seq: peer.link.lastSeq, barrier });
    }
    if (barrier.waiting === 0) done();
  }

  /** Puts what was queued into frames. */
  flush(): void {
    for (const peer of this.#dirty) {
      this.#dirty.delete(peer);
      if (this.#peers.get(peer.id) !== peer) continue;
      if (peer.link.overflowing) this.#startAfresh(peer);
      for (const frame of peer.link.takeFrames()) this.#post(peer.id, frame);
      this.#armRetransmission(peer);
    }
  }

  #post(to: string, frame: ClusterFrame): void {
    if (!this.#left) this.#core.emit({ kind: "bus", to, text: JSON.stringify(frame) });
  }

  #armRetransmission(peer: Peer): void {
    const key = `link ${peer.id}`;
    if (peer.link.idle || this.#core.deadlines.has(key)) return;
    this.#core.deadlines.set(key, this.#core.now + this.#core.config.retransmitMs, () => {
      peer.link.rewind();
      this.#dirty.add(peer);
    });
  }

  #meet(id: string): Peer {
    this.#streams++;
    const peer: Peer = { id, link: new Link(this.#core.self, this.#streams), barriers: [], stale: undefined };
    this.#peers.set(id, peer);
    this.#introduce(peer);
    this.#core.event({ name: "replica", change: "found", replica: id });
    return peer;
  }

  #introduce(peer: Peer): void {
    peer.link.queue({ op: "reset" });
    for (const { entry } of this.#directory.ownedBy(this.#core.self)) peer.link.queue({ op: "put", entry });
    peer.link.queue({ op: "synced" });
    this.#dirty.add(peer);
  }

  #startAfresh(peer: Peer): void {
    this.#streams++;
    peer.link.restart(this.#streams);
    this.#introduce(peer);
    this.#release(peer);
    this.#handler.handleLost(peer.id);
  }

  #drop(id: string, change: "lost" | "left"): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#peers.delete(id);
    this.#core.deadlines.clear(`peer ${id}`);
    this.#core.deadlines.clear(`link ${id}`);
    this.#core.event({ name: "replica", change, replica: id });
    for (const { entry } of this.#directory.ownedBy(id)) {
      this.#directory.remove(entry.id, id, change === "left" ? "goaway" : "lost");
    }
    this.#release(peer);
    this.#handler.handleLost(id);
  }

  #acknowledged(peer: Peer): void {
    const due = peer.barriers.findIndex(({ seq }) => seq > peer.link.acked);
    this.#pass(peer.barriers.splice(0, due === -1 ? peer.barriers.length : due));
    if (peer.link.idle) this.#core.deadlines.clear(`link ${peer.id}`);
  }

  #release(peer: Peer): void {
    this.#pass(peer.barriers.splice(0));
  }

  #pass(passed: readonly { readonly barrier: Barrier }[]): void {
    for (const { barrier } of passed) {
      barrier.waiting--;
      if (barrier.waiting === 0) barrier.done();
    }
  }

  #handleOp(peer: Peer, op: ClusterOp): void {
    switch (op.op) {
      case "reset":
        peer.stale = new Set(this.#directory.ownedBy(peer.id).map(({ entry }) => entry.id));
        return;
      case "synced":
        for (const id of peer.stale ?? []) this.#directory.remove(id, peer.id, "lost");
        peer.stale = undefined;
        return;
      case "put":
        peer.stale?.delete(op.entry.id);
        if (this.#directory.get(op.entry.id)?.owner !== this.#core.self) this.#directory.put(op.entry, peer.id);
        return;
      case "del":
        this.#directory.remove(op.id, peer.id, op.reason);
        return;
      case "moved":
        if (op.owner !== this.#core.self && !this.#peers.has(op.owner)) this.#directory.remove(op.id, peer.id, "lost");
        else this.#directory.move(op.id, peer.id, op.owner);
        return;
      default:
        this.#handler.handleOp(peer.id, op);
    }
  }
}
