import type { TransportAddress } from "@culvert/stun";
import type { ClientAddress } from "@culvert/turn";
import type { DataPlaneLimits } from "../limits.ts";
import type { Certificate, Clock, DropReason, ListenerSpec } from "../port.ts";
import type { AddressMap } from "./address-map.ts";
import type { Client } from "./client.ts";
import type { EventQueue } from "./event-queue.ts";
import type { ClientSide, Forwarder } from "./forward.ts";
import type { Tally } from "./tally.ts";

/** An open listener. */
export interface Listener extends ClientSide {
  readonly local: TransportAddress;
  /** A reply of the control loop. */
  send(to: ClientAddress, bytes: Uint8Array): DropReason | undefined;
  closeClient(client: ClientAddress): void;
  setCertificate(certificate: Certificate): void;
  close(): Promise<void>;
}

/** What a listener works with. */
export interface ListenerContext {
  readonly spec: ListenerSpec;
  readonly limits: DataPlaneLimits;
  readonly clock: Clock;
  /** Those of this listener that own a relay. */
  readonly clients: AddressMap<Client>;
  readonly forwarder: Forwarder;
  readonly events: EventQueue;
  readonly tally: Tally;
}

/** Takes one message of a client: relays it, drops it or hands it up. True when it was handed up. */
export function takeMessage(
  { spec, forwarder, events, tally }: ListenerContext,
  bytes: Buffer,
  ip: string,
  port: number,
  client: Client | undefined,
): boolean {
  const verdict = spec.mode === "stun" ? forwarder.stunOnly(bytes) : forwarder.fromClient(bytes, client);
  if (verdict === "done") return false;
  tally.slowPath += 1;
  events.push({
    type: "client-input",
    client: client?.tuple ?? { listener: spec.id, remote: { ip, port } },
    bytes,
  });
  return true;
}
