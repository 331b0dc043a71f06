import type { ClientTuple } from "@culvert/turn";
import type { MeshPeer } from "./mesh-link.ts";
import type { Channel, Relay } from "./relay.ts";

/** A 5-tuple that owns relays: at most one of each address family (RFC 8656 section 7.2, ADDITIONAL-ADDRESS-FAMILY). */
export class Client {
  readonly tuple: ClientTuple;
  relay4: Relay | undefined;
  relay6: Relay | undefined;
  /** The relay of the mesh by way of which it is reached; undefined: directly. */
  via: MeshPeer | undefined;
  /** Of both relays. */
  readonly channels: Map<number, Channel> = new Map();

  constructor(tuple: ClientTuple, via: MeshPeer | undefined) {
    this.tuple = tuple;
    this.via = via;
  }

  /** Channel numbers are unique per client: one that the other relay had is now this one's. */
  learnChannel(channel: Channel): void {
    const other = this.channels.get(channel.number);
    if (other !== undefined && other.relay !== channel.relay) other.relay.deleteChannel(other.number);
    this.channels.set(channel.number, channel);
  }

  forgetChannel(channel: Channel): void {
    if (this.channels.get(channel.number) === channel) this.channels.delete(channel.number);
  }
}
