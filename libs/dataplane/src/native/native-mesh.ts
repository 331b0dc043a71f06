import { canonicalIp, familyOf, type TransportAddress } from "@culvert/stun";
import type { ListenerId } from "@culvert/turn";
import { frontendId, parseInstance, type SealKey, sealKeys } from "../mesh/keys.ts";
import type { CheckedMesh } from "../mesh/spec.ts";
import type { MeshCommand, MeshPeerCommand, MeshPeerId, OpenMesh } from "../mesh-port.ts";
import { ListenError, type ListenerSpec } from "../port.ts";
import type { NativePlane } from "./binding.ts";
import { type CommandPacker, packAddress, packIp } from "./pack.ts";
import { unpackAddress } from "./unpack.ts";

/** A listener as the addon numbers it. */
export interface NumberedListener {
  readonly number: number;
  readonly local: TransportAddress;
}

/** What the mesh of the addon is told: who the other relays are, and with which keys they seal. */
export class NativeMesh {
  readonly #plane: NativePlane;
  readonly #packer: CommandPacker;
  readonly #listener: (id: ListenerId) => NumberedListener | undefined;
  readonly #peers: Map<MeshPeerId, { readonly instance: Buffer; readonly address: TransportAddress }> = new Map();
  /** As named on the wire. */
  readonly #frontends: Set<number> = new Set();
  #own: { readonly instance: Buffer; secrets: readonly Uint8Array[] } | undefined;

  constructor(plane: NativePlane, packer: CommandPacker, listener: (id: ListenerId) => NumberedListener | undefined) {
    this.#plane = plane;
    this.#packer = packer;
    this.#listener = listener;
  }

  get isOpen(): boolean {
    return this.#own !== undefined;
  }

  /** An error number instead of the mesh when the system refuses. */
  open(local: TransportAddress, checked: CheckedMesh): OpenMesh | number {
    const { instance, secrets, sharedIps, maxForeignClients, maxPaths } = checked;
    const frontends = [...checked.frontends].flatMap(([id, name]) => {
      const listener = this.#listener(id);
      return listener === undefined ? [] : [name, listener.number, familyOf(listener.local.ip)];
    });
    const opened = this.#plane.openMesh({
      local: packAddress(local),
      instance,
      keys: packKeys(sealKeys(secrets, instance)),
      frontends,
      sharedIps: Buffer.concat(sharedIps.map(packIp)),
      maxForeign: maxForeignClients,
      maxPaths,
    });
    if (opened.errno !== 0) return opened.errno;
    this.#own = { instance, secrets };
    for (const name of checked.frontends.values()) this.#frontends.add(name);
    const reason = sharedIps.length === 0 ? "no shared IPs" : opened.noSteering;
    return { local: unpackAddress(opened.local), peerSide: reason === "" ? { ok: true } : { ok: false, reason } };
  }

  /** Whether another listener has the frontend of this one, which is to be opened while a mesh is open. */
  isTaken({ transport, local, frontend }: ListenerSpec): boolean {
    return frontend !== undefined && this.#frontends.has(frontendId(transport, familyOf(local.ip), frontend));
  }

  /** Lets a listener take part that was opened while a mesh is open. */
  join({ transport, local, frontend }: ListenerSpec, number: number): void {
    if (this.#own === undefined || frontend === undefined) return;
    const family = familyOf(local.ip);
    const name = frontendId(transport, family, frontend);
    this.#frontends.add(name);
    this.#plane.joinMesh(name, number, family);
  }

  /** Packs the keys of all; to be followed by a flush. */
  setSecrets(secrets: readonly Uint8Array[]): void {
    if (this.#own === undefined) throw new ListenError("no mesh is open");
    this.#own.secrets = secrets;
    this.#packer.meshKeys(packKeys(sealKeys(secrets, this.#own.instance)));
    for (const [peer, { instance, address }] of this.#peers) this.#packPeer(peer, instance, address);
  }

  pack(command: MeshCommand): void {
    if (this.#own === undefined) return;
    switch (command.type) {
      case "mesh-peer":
        this.#register(command);
        break;
      case "mesh-peer-gone":
        this.#peers.delete(command.peer);
        this.#packer.meshPeerGone(command.peer);
        break;
      case "mesh-send":
        this.#packer.meshSend(command.peer, command.bytes);
        break;
      case "forward":
        this.#packer.forward(
          command.peer,
          this.#numberOf(command.client.listener),
          command.client.remote,
          command.bytes,
        );
        break;
      case "upsert": {
        const { entry } = command;
        if (entry.kind === "foreign") {
          const { listener, remote } = entry.client;
          this.#packer.foreignClient(this.#numberOf(listener), remote, entry.peer, entry.deadline);
        } else this.#packer.foreignPorts(entry);
        break;
      }
      case "revoke":
        if (command.key.kind === "foreign") {
          const { listener, remote } = command.key.client;
          this.#packer.revokeForeignClient(this.#numberOf(listener), remote);
        } else this.#packer.revokeForeignPorts(command.key);
        break;
    }
  }

  #register({ peer, instance: text, address }: MeshPeerCommand): void {
    const [instance, ip] = [parseInstance(text), canonicalIp(address.ip)];
    if (instance === undefined || ip === undefined) return;
    for (const [other, known] of this.#peers) {
      if (other !== peer && known.instance.equals(instance)) this.#peers.delete(other);
    }
    const at = { ip, port: address.port };
    this.#peers.set(peer, { instance, address: at });
    this.#packPeer(peer, instance, at);
  }

  #packPeer(peer: MeshPeerId, instance: Buffer, address: TransportAddress): void {
    const keys = sealKeys(this.#own?.secrets ?? [], instance);
    this.#packer.meshPeer(peer, instance, address, packKeys(keys));
  }

  #numberOf(listener: ListenerId): number {
    return this.#listener(listener)?.number ?? 0xffff_ffff;
  }
}

/** Each its id, then itself. */
function packKeys(keys: readonly SealKey[]): Buffer {
  return Buffer.concat(keys.flatMap(({ id, bytes }) => [Uint8Array.of(id), bytes]));
}
