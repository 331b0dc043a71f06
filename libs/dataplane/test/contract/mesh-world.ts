import { randomBytes } from "node:crypto";
import type { BoundListener, MeshPeerId, MeshSpec, OpenMesh } from "@culvert/dataplane";
import type { TransportAddress } from "@culvert/stun";
import type { ClientTuple, Millis } from "@culvert/turn";
import { clientHead, peerHead } from "../../src/mesh/frame.ts";
import { frontendId, sealKeys } from "../../src/mesh/keys.ts";
import { seal } from "../../src/mesh/seal.ts";
import type { UdpEndpoint } from "./udp-endpoint.ts";
import { type CreateHarness, LOOPBACK, World } from "./world.ts";

export const SECRET: Buffer = Buffer.alloc(32, "the fleet's secret ");
export const FRONTEND = "vip";

/** A data plane that is a member of a mesh. */
export class Member extends World {
  readonly instance: string = randomBytes(16).toString("hex");
  #mesh: OpenMesh | undefined;

  static async open(
    create: CreateHarness,
    listeners: readonly BoundListener[] | ((member: Member) => Promise<readonly BoundListener[]>),
    spec: Partial<MeshSpec> = {},
  ): Promise<Member> {
    const member = new Member(create);
    await member.join(typeof listeners === "function" ? await listeners(member) : listeners, spec);
    return member;
  }

  async join(listeners: readonly BoundListener[], spec: Partial<MeshSpec> = {}): Promise<OpenMesh> {
    this.#mesh = await this.plane.openMesh({
      local: { ip: LOOPBACK[4], port: 0 },
      instance: this.instance,
      secrets: [SECRET],
      frontends: new Map(listeners.map(({ id }) => [id, FRONTEND])),
      ...spec,
    });
    return this.#mesh;
  }

  get mesh(): TransportAddress {
    if (this.#mesh === undefined) throw new Error("no mesh is open");
    return this.#mesh.local;
  }

  register(peer: MeshPeerId, { instance, mesh }: { readonly instance: string; readonly mesh: TransportAddress }): void {
    this.apply({ type: "mesh-peer", peer, instance, address: mesh });
  }

  foreign(client: ClientTuple, peer: MeshPeerId, deadline: Millis = this.deadline): void {
    this.apply({ type: "upsert", entry: { kind: "foreign", client, peer, deadline } });
  }
}

interface SealOptions {
  readonly counter?: bigint;
  readonly worker?: number;
  readonly secret?: Uint8Array;
  /** Whose name it is sealed in. */
  readonly sender?: string;
}

/** Speaks the mesh's language without a data plane, and not always as it should. */
export class Rogue {
  readonly instance: string = randomBytes(16).toString("hex");
  readonly endpoint: UdpEndpoint;
  #counter = 1n << 40n;

  private constructor(endpoint: UdpEndpoint) {
    this.endpoint = endpoint;
  }

  /** Registered with the member as this peer, if any. */
  static async join(member: World & { apply: Member["apply"] }, peer?: MeshPeerId): Promise<Rogue> {
    const rogue = new Rogue(await member.udp());
    if (peer !== undefined) {
      const { instance, endpoint } = rogue;
      member.apply({ type: "mesh-peer", peer, instance, address: endpoint.address });
    }
    return rogue;
  }

  seal(to: { readonly instance: string }, parts: readonly Uint8Array[], options: SealOptions = {}): Buffer {
    const { counter = this.#counter++, worker = 0, secret = SECRET, sender = this.instance } = options;
    const [key] = sealKeys([secret], Buffer.from(sender, "hex"));
    if (key === undefined) throw new Error("no key");
    const parties = { sender: Buffer.from(sender, "hex"), receiver: Buffer.from(to.instance, "hex") };
    return seal(key, parties, { worker, counter }, parts);
  }

  control(to: { readonly instance: string }, text: string, options: SealOptions = {}): Buffer {
    return this.seal(to, [Uint8Array.of(4), Buffer.from(text)], options);
  }

  send(to: { readonly mesh: TransportAddress }, datagram: Uint8Array): Promise<void> {
    return this.endpoint.send(to.mesh, datagram);
  }
}

interface ClientFrame {
  readonly transport?: "udp" | "tcp";
  readonly frontend?: string;
  readonly client: TransportAddress;
  readonly bytes: Uint8Array;
}

export function clientFrame(
  kind: "client-packet" | "client-reply",
  { transport = "udp", frontend = FRONTEND, client, bytes }: ClientFrame,
): readonly Uint8Array[] {
  return [clientHead(kind, frontendId(transport, 4, frontend), client), bytes];
}

export function peerFrame(
  relayed: TransportAddress,
  peer: TransportAddress,
  bytes: Uint8Array | string,
): readonly Uint8Array[] {
  return [peerHead(relayed, peer), Buffer.from(bytes)];
}
