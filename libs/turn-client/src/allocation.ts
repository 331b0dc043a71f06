import {
  type AddressErrorCodeValue,
  type AddressFamily,
  Attr,
  attribute,
  type EncodedAttribute,
  type EvenPort,
  familyOf,
  type StunMessage,
  type TransportAddress,
  TransportProtocol,
} from "@culvert/stun";
import { TurnError } from "./errors.ts";

/** RFC 8656 section 7.1. */
export interface AllocateOptions {
  /** LIFETIME, seconds. The server's default without. */
  readonly lifetime?: number | undefined;
  /** REQUESTED-ADDRESS-FAMILY. */
  readonly family?: AddressFamily | undefined;
  /** ADDITIONAL-ADDRESS-FAMILY; the RFC allows 6 only. */
  readonly additionalFamily?: AddressFamily | undefined;
  /** EVEN-PORT; true stands for `{ reserveNext: false }`. */
  readonly evenPort?: EvenPort | boolean | undefined;
  /** RESERVATION-TOKEN, 8 bytes. */
  readonly reservationToken?: Uint8Array | undefined;
  /** DONT-FRAGMENT: ask whether the server can do it. */
  readonly dontFragment?: boolean | undefined;
  /** REQUESTED-TRANSPORT, 17 (UDP) by default, 6 for RFC 6062. */
  readonly transport?: number | undefined;
  /** More attributes, for example MOBILITY-TICKET. */
  readonly attributes?: readonly EncodedAttribute[] | undefined;
}

/** RFC 8656 section 7.3. */
export interface Allocation {
  /** XOR-RELAYED-ADDRESS, of the requested family where two were given. */
  readonly relayed: TransportAddress;
  /** The relayed address of the additional family. */
  readonly additionalRelayed?: TransportAddress;
  /** XOR-MAPPED-ADDRESS: the client as the server sees it. */
  readonly mapped: TransportAddress;
  /** Seconds. */
  readonly lifetime: number;
  /** RESERVATION-TOKEN, 8 bytes: the next port, for 30 seconds. */
  readonly reservationToken?: Uint8Array;
  /** ADDRESS-ERROR-CODE: why there is no address of the additional family. */
  readonly addressError?: AddressErrorCodeValue;
  /** MOBILITY-TICKET. */
  readonly mobilityTicket?: Uint8Array;
}

export function allocateAttributes(options: AllocateOptions): readonly EncodedAttribute[] {
  const { lifetime, family, additionalFamily, evenPort, reservationToken, dontFragment } = options;
  const list = [attribute(Attr.RequestedTransport, options.transport ?? TransportProtocol.Udp)];
  if (lifetime !== undefined) list.push(attribute(Attr.Lifetime, lifetime));
  if (family !== undefined) list.push(attribute(Attr.RequestedAddressFamily, family));
  if (additionalFamily !== undefined) list.push(attribute(Attr.AdditionalAddressFamily, additionalFamily));
  if (evenPort) list.push(attribute(Attr.EvenPort, evenPort === true ? { reserveNext: false } : evenPort));
  if (reservationToken !== undefined) list.push(attribute(Attr.ReservationToken, reservationToken));
  if (dontFragment) list.push(attribute(Attr.DontFragment, true));
  return [...list, ...(options.attributes ?? [])];
}

/**
 * Reads a success response to Allocate.
 *
 * @throws TurnError `protocol` when an attribute is missing that RFC 8656 section 7.3 requires
 */
export function readAllocation(response: StunMessage, options: AllocateOptions): Allocation {
  const addresses = response.getAll(Attr.XorRelayedAddress);
  const main = options.additionalFamily === undefined ? options.family : (options.family ?? 4);
  const relayed = addresses.find(({ ip }) => main === undefined || familyOf(ip) === main) ?? addresses[0];
  const mapped = response.get(Attr.XorMappedAddress);
  const lifetime = response.get(Attr.Lifetime);
  if (!relayed || !mapped || lifetime === undefined) {
    const reason = "the response lacks XOR-RELAYED-ADDRESS, XOR-MAPPED-ADDRESS or LIFETIME";
    throw new TurnError({ kind: "protocol", step: "Allocate", reason, response });
  }
  const additionalRelayed = addresses.find((address) => address !== relayed);
  const reservationToken = response.get(Attr.ReservationToken);
  const addressError = response.get(Attr.AddressErrorCode);
  const mobilityTicket = response.get(Attr.MobilityTicket);
  return {
    relayed,
    mapped,
    lifetime,
    ...(additionalRelayed ? { additionalRelayed } : {}),
    ...(reservationToken ? { reservationToken: Uint8Array.from(reservationToken) } : {}),
    ...(addressError ? { addressError } : {}),
    ...(mobilityTicket ? { mobilityTicket: Uint8Array.from(mobilityTicket) } : {}),
  };
}
