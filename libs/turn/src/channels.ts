import type { Channel, Relay } from "./allocation.ts";
import type { Core } from "./core.ts";
import type { Millis, PeerAddress } from "./io.ts";
import { addressKey } from "./tuple.ts";

/** RFC 8656 section 12. */
export const CHANNEL_LIFETIME_MS = 600_000;

/** Binds a channel, or refreshes it. The caller has checked that it may. */
export function installChannel(
  core: Core,
  relay: Relay,
  number: number,
  peer: PeerAddress,
  wireIp: string | undefined,
  now: Millis,
): void {
  const { allocation } = relay;
  const deadline = now + CHANNEL_LIFETIME_MS;
  const existing = allocation.channels.get(number);
  if (existing !== undefined) {
    core.deadlines.move(existing.expiry, deadline);
    publishChannel(core, existing);
    return;
  }
  putChannel(core, relay, number, peer, wireIp, deadline);
  const { tenant, user, kid } = allocation.owner;
  core.out.event({
    type: "event",
    name: "channel-created",
    tenant,
    user,
    kid,
    allocation: allocation.id,
    relay: relay.socket.id,
    channel: number,
    peer,
  });
}

/** Adds a channel that is not there. */
export function putChannel(
  core: Core,
  relay: Relay,
  number: number,
  peer: PeerAddress,
  wireIp: string | undefined,
  deadline: Millis,
): void {
  const { allocation } = relay;
  const channel: Channel = {
    relay,
    number,
    peer,
    wireIp,
    expiry: core.deadlines.add(deadline, () => removeChannel(core, channel)),
  };
  allocation.channels.set(number, channel);
  allocation.channelsByPeer.set(addressKey(peer), channel);
  publishChannel(core, channel);
}

export function removeChannel(core: Core, channel: Channel): void {
  const { allocation, socket } = channel.relay;
  core.deadlines.remove(channel.expiry);
  allocation.channels.delete(channel.number);
  allocation.channelsByPeer.delete(addressKey(channel.peer));
  core.out.push({ type: "revoke", key: { kind: "channel", relay: socket.id, channel: channel.number } });
}

/** Puts the channel into the table of the data plane. */
export function publishChannel(core: Core, channel: Channel): void {
  const { relay, number, peer, wireIp, expiry } = channel;
  core.out.push({
    type: "upsert",
    entry: {
      kind: "channel",
      relay: relay.socket.id,
      channel: number,
      peer,
      deadline: expiry.at,
      wireIp,
    },
  });
}
