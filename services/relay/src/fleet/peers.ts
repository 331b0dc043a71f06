import type { DataPlane, MeshPeerId } from "@culvert/dataplane";
import { alternatesOf, type Control, decodeControl, encodeControl, type Heartbeat } from "@culvert/fleet";
import type { RelayEntry } from "@culvert/state";

interface Peer {
  readonly id: MeshPeerId;
  readonly entry: RelayEntry;
}

export interface PeersOptions {
  readonly dataPlane: Pick<DataPlane, "apply">;
  readonly identity: string;
  readonly hear: (heartbeat: Heartbeat) => void;
  /** A relay is gone, or another process of the same name came. */
  readonly onGone: (identity: string) => void;
  readonly onControl: (control: Exclude<Control, { readonly type: "beat" }>) => void;
}

/** The other relays that live, and the mesh to them. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #byIdentity = new Map<string, Peer>();
  readonly #byId = new Map<MeshPeerId, Peer>();
  #all: readonly RelayEntry[] = [];
  #lastId = 0;
  /** Whether the data plane has a mesh. */
  meshed = false;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byIdentity.size;
  }

  /** All relays that live, the own one too where the store knows it. */
  get all(): readonly RelayEntry[] {
    return this.#all;
  }

  alternates(): ReturnType<typeof alternatesOf> {
    return alternatesOf(this.#all, this.#options.identity);
  }

  idOf(identity: string): MeshPeerId | undefined {
    return this.#byIdentity.get(identity)?.id;
  }

  /** The relays as the store has them now. */
  see(relays: readonly RelayEntry[]): void {
    const { dataPlane, identity, onGone } = this.#options;
    this.#all = relays;
    if (!this.meshed) return;
    const others = new Map(
      relays.filter((entry) => entry.identity !== identity).map((entry) => [entry.identity, entry]),
    );
    for (const [name, peer] of [...this.#byIdentity]) {
      const entry = others.get(name);
      if (entry?.mesh !== undefined && sameMesh(entry, peer.entry)) continue;
      this.#byIdentity.delete(name);
      this.#byId.delete(peer.id);
      dataPlane.apply([{ type: "mesh-peer-gone", peer: peer.id }]);
      onGone(name);
    }
    for (const [name, entry] of others) {
      if (entry.mesh === undefined || this.#byIdentity.has(name)) continue;
      const peer = { id: ++this.#lastId, entry };
      this.#byIdentity.set(name, peer);
      this.#byId.set(peer.id, peer);
      dataPlane.apply([{ type: "mesh-peer", peer: peer.id, instance: entry.instance, address: entry.mesh }]);
    }
  }

  send(peer: MeshPeerId, bytes: Uint8Array): void {
    this.#options.dataPlane.apply([{ type: "mesh-send", peer, bytes }]);
  }

  broadcast(control: Control): void {
    if (this.#byId.size === 0) return;
    const bytes = encodeControl(control);
    this.#options.dataPlane.apply([...this.#byId.keys()].map((peer) => ({ type: "mesh-send", peer, bytes }) as const));
  }

  /** From the mesh: the sender is who its key says. */
  take(id: MeshPeerId, bytes: Uint8Array): void {
    const peer = this.#byId.get(id);
    const control = decodeControl(bytes);
    if (peer === undefined || control === undefined) return;
    if (control.type !== "beat") this.#options.onControl(control);
    else if (control.identity === peer.entry.identity && control.instance === peer.entry.instance) {
      this.#options.hear(control);
    }
  }
}

function sameMesh(a: RelayEntry, b: RelayEntry): boolean {
  return a.instance === b.instance && a.mesh?.ip === b.mesh?.ip && a.mesh?.port === b.mesh?.port;
}
