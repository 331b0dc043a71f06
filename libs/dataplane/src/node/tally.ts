import type { InitialCounters } from "@culvert/turn";
import { DROP_REASONS, type DropReason, type RelayCounters } from "../port.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const noDrops = (): Record<DropReason, number> => {
  const drops: Partial<Record<DropReason, number>> = {};
  for (const reason of DROP_REASONS) drops[reason] = 0;
  return drops as Record<DropReason, number>;
};

export class RelayTally implements Mutable<RelayCounters> {
  packetsToPeers = 0;
  bytesToPeers = 0;
  packetsToClient = 0;
  bytesToClient = 0;
  dropped = 0;

  constructor(initial?: InitialCounters) {
    Object.assign(this, initial);
  }
}

/** The totals of a data plane. */
export class Tally {
  packetsToPeers = 0;
  bytesToPeers = 0;
  packetsToClients = 0;
  bytesToClients = 0;
  slowPath = 0;
  meshPacketsSent = 0;
  meshBytesSent = 0;
  meshPacketsReceived = 0;
  meshBytesReceived = 0;
  readonly dropped: Record<DropReason, number> = noDrops();

  drop(reason: DropReason, relay?: RelayTally): void {
    this.dropped[reason] += 1;
    if (relay !== undefined) relay.dropped += 1;
  }

  meshSent(bytes: number): void {
    this.meshPacketsSent += 1;
    this.meshBytesSent += bytes;
  }

  meshReceived(bytes: number): void {
    this.meshPacketsReceived += 1;
    this.meshBytesReceived += bytes;
  }

  toPeer(bytes: number, relay: RelayTally): void {
    this.packetsToPeers += 1;
    this.bytesToPeers += bytes;
    relay.packetsToPeers += 1;
    relay.bytesToPeers += bytes;
  }

  toClient(bytes: number, relay: RelayTally): void {
    this.packetsToClients += 1;
    this.bytesToClients += bytes;
    relay.packetsToClient += 1;
    relay.bytesToClient += bytes;
  }
}
