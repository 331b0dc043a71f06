import type { TransportAddress } from "@culvert/stun";
import type { ClientAddress } from "@culvert/turn";
import type { DataPlaneLimits } from "../limits.ts";
import type { Certificate, DropReason, ListenerSpec } from "../port.ts";
import type { ClientSide } from "./forward.ts";
import type { Tally } from "./tally.ts";

/** An open listener. */
export interface Listener extends ClientSide {
  readonly local: TransportAddress;
  /** Whether the client's own connection ends here. Of datagrams nobody can tell. */
  serves(client: ClientAddress): boolean;
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
  readonly tally: Tally;
  /** Takes one message of a client: relays it, drops it or hands it up. True when it was handed up. */
  readonly take: (bytes: Buffer, ip: string, port: number) => boolean;
}
