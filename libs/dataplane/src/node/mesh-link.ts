import type { TransportAddress } from "@culvert/stun";
import type { DataPlaneLimits } from "../limits.ts";
import { type SealKey, sealKeys } from "../mesh/keys.ts";
import { ReplayWindow } from "../mesh/replay-window.ts";
import { firstCounter, open, readSealHeader, seal, senderName } from "../mesh/seal.ts";
import { MAX_MESH_PAYLOAD, type MeshPeerId } from "../mesh-port.ts";
import type { DropReason } from "../port.ts";
import { AddressMap } from "./address-map.ts";
import type { Tally } from "./tally.ts";
import { UdpSocket } from "./udp-socket.ts";

/** All is sealed by one thread. */
const WORKER = 0;

/** A relay that is registered, or was. */
export interface MeshPeer {
  readonly id: MeshPeerId;
  readonly instance: Buffer;
  address: TransportAddress;
  /** What it seals with. */
  keys: readonly SealKey[];
  /** By its workers. */
  readonly windows: Map<number, ReplayWindow>;
  gone: boolean;
}

export interface MeshLinkOptions {
  readonly local: TransportAddress;
  readonly instance: Buffer;
  readonly secrets: readonly Uint8Array[];
  readonly limits: DataPlaneLimits;
  readonly tally: Tally;
  /** What an authentic datagram of a registered relay holds. */
  readonly onFrame: (from: MeshPeer, frame: Buffer) => void;
}

/** The socket of the mesh: sealed datagrams to and from registered relays. */
export class MeshLink {
  readonly #options: MeshLinkOptions;
  readonly #socket: UdpSocket;
  readonly #peers: Map<MeshPeerId, MeshPeer> = new Map();
  readonly #bySender: Map<string, MeshPeer> = new Map();
  /** Where the mesh is, which peers of clients never are. */
  #addresses: AddressMap<true> = new AddressMap();
  #secrets: readonly Uint8Array[];
  #keys: readonly SealKey[];
  #counter: bigint = firstCounter(Date.now());

  private constructor(options: MeshLinkOptions, opened: (error?: NodeJS.ErrnoException) => void) {
    const { local, instance, secrets, limits, tally } = options;
    this.#options = options;
    this.#secrets = secrets;
    this.#keys = sealKeys(secrets, instance);
    this.#socket = new UdpSocket(
      {
        local,
        recvBufferSize: limits.recvBufferSize,
        sendBufferSize: limits.sendBufferSize,
        queueBytes: limits.datagramQueueBytes,
        onMessage: (datagram) => this.#take(datagram),
        onSendFailed: () => tally.drop("send-failed"),
      },
      opened,
    );
  }

  static open(options: MeshLinkOptions): Promise<MeshLink> {
    return new Promise((resolve, reject) => {
      const link: MeshLink = new MeshLink(options, (error) => {
        // The socket may be bound before its constructor returns.
        queueMicrotask(() => {
          if (error !== undefined) reject(error);
          else resolve(link.#opened());
        });
      });
    });
  }

  get local(): TransportAddress {
    return this.#socket.local;
  }

  get size(): number {
    return this.#peers.size;
  }

  peer(id: MeshPeerId): MeshPeer | undefined {
    return this.#peers.get(id);
  }

  register(id: MeshPeerId, instance: Buffer, address: TransportAddress): void {
    if (instance.equals(this.#options.instance)) return;
    const known = this.#peers.get(id);
    if (known?.instance.equals(instance)) {
      known.address = address;
    } else {
      this.forget(id);
      const former = this.#bySender.get(senderName(instance));
      if (former !== undefined) this.forget(former.id);
      const keys = sealKeys(this.#secrets, instance);
      const peer: MeshPeer = { id, instance, address, keys, windows: new Map(), gone: false };
      this.#peers.set(id, peer);
      this.#bySender.set(senderName(instance), peer);
    }
    this.#mapAddresses();
  }

  forget(id: MeshPeerId): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    peer.gone = true;
    this.#peers.delete(id);
    this.#bySender.delete(senderName(peer.instance));
    this.#mapAddresses();
  }

  setSecrets(secrets: readonly Uint8Array[]): void {
    this.#secrets = secrets;
    this.#keys = sealKeys(secrets, this.#options.instance);
    for (const peer of this.#peers.values()) peer.keys = sealKeys(secrets, peer.instance);
  }

  /** Whether it is an address of the mesh: the own one, or that of a registered relay. */
  isAddress(ip: string, port: number): boolean {
    return this.#addresses.get(ip, port) === true;
  }

  send(to: MeshPeer, head: Uint8Array, bytes: Uint8Array): DropReason | undefined {
    const [key] = this.#keys;
    if (to.gone || key === undefined) return "mesh-unknown";
    if (bytes.length > MAX_MESH_PAYLOAD) return "malformed";
    const parties = { sender: this.#options.instance, receiver: to.instance };
    const datagram = seal(key, parties, { worker: WORKER, counter: this.#counter }, [head, bytes]);
    this.#counter += 1n;
    const reason = this.#socket.send(datagram, to.address.ip, to.address.port);
    if (reason === undefined) this.#options.tally.meshSent(datagram.length);
    return reason;
  }

  close(): Promise<void> {
    return this.#socket.close();
  }

  #opened(): this {
    this.#mapAddresses();
    return this;
  }

  #take(datagram: Buffer): void {
    const { tally, onFrame } = this.#options;
    const opened = this.#open(datagram);
    if (typeof opened === "string") {
      tally.drop(opened);
      return;
    }
    tally.meshReceived(datagram.length);
    onFrame(opened.from, opened.frame);
  }

  #open(datagram: Buffer): DropReason | { readonly from: MeshPeer; readonly frame: Buffer } {
    const header = readSealHeader(datagram);
    if (header === undefined) return "mesh-auth";
    const from = this.#bySender.get(header.sender);
    if (from === undefined) return "mesh-unknown";
    const known = from.windows.get(header.worker);
    if (known?.isFresh(header.counter) === false) return "mesh-replay";
    for (const { id, key } of from.keys) {
      if (id !== header.keyId) continue;
      const frame = open(key, this.#options.instance, datagram);
      if (frame === undefined) continue;
      const window = known ?? new ReplayWindow();
      if (known === undefined) from.windows.set(header.worker, window);
      window.take(header.counter);
      return { from, frame };
    }
    return "mesh-auth";
  }

  #mapAddresses(): void {
    const addresses = new AddressMap<true>();
    for (const { ip, port } of [this.local, ...[...this.#peers.values()].map(({ address }) => address)]) {
      addresses.set(ip, port, true);
    }
    this.#addresses = addresses;
  }
}
