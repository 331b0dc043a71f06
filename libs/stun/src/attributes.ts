import type { AddressFamily, TransportAddress } from "./address.ts";
import { address, addressFamily, xoredAddress } from "./address-codecs.ts";
import type { AttributeType } from "./attribute-type.ts";
import { bytes, byteText, displayText, empty, text, u8Padded, u16List, u16Padded, u32, u64 } from "./codecs.ts";
import {
  type AddressErrorCodeValue,
  addressErrorCode,
  type ChangeRequest,
  changeRequest,
  type EcnCheck,
  type ErrorCodeValue,
  type EvenPort,
  ecnCheck,
  errorCode,
  evenPort,
  type IcmpValue,
  icmp,
  type NetworkInfo,
  networkInfo,
  type PasswordAlgorithm,
  passwordAlgorithm,
  passwordAlgorithms,
  type TransmitCounter,
  transmitCounter,
} from "./value-codecs.ts";

/** Every attribute that this library reads and writes. */
export interface AttributeTable {
  /** RFC 8489 section 14.1. */
  readonly MappedAddress: AttributeType<TransportAddress>;
  /** RFC 3489 section 11.2.2. */
  readonly ResponseAddress: AttributeType<TransportAddress>;
  /** RFC 5780 section 7.2, RFC 3489 section 11.2.4. */
  readonly ChangeRequest: AttributeType<ChangeRequest>;
  /** RFC 3489 section 11.2.5. */
  readonly SourceAddress: AttributeType<TransportAddress>;
  /** RFC 3489 section 11.2.3. */
  readonly ChangedAddress: AttributeType<TransportAddress>;
  /** RFC 8489 section 14.3. At most 513 bytes of UTF-8 (RFC 5389's limit; RFC 8489 says fewer than 509). */
  readonly Username: AttributeType<string>;
  /** RFC 3489 section 11.2.7. */
  readonly Password: AttributeType<string>;
  /** RFC 8489 section 14.5, 20 bytes. Set by `encodeMessage`, checked by `checkIntegrity`. */
  readonly MessageIntegrity: AttributeType<Uint8Array>;
  /** RFC 8489 section 14.8. */
  readonly ErrorCode: AttributeType<ErrorCodeValue>;
  /** RFC 8489 section 14.13. */
  readonly UnknownAttributes: AttributeType<readonly number[]>;
  /** RFC 3489 section 11.2.11. */
  readonly ReflectedFrom: AttributeType<TransportAddress>;
  /** RFC 8656 section 18.1. Whether the number is a channel's, 0x4000 to 0x4FFF, is for the reader to check. */
  readonly ChannelNumber: AttributeType<number>;
  /** RFC 8656 section 18.2, in seconds. */
  readonly Lifetime: AttributeType<number>;
  /** RFC 8656 section 18.3. */
  readonly XorPeerAddress: AttributeType<TransportAddress>;
  /** RFC 8656 section 18.4. */
  readonly Data: AttributeType<Uint8Array>;
  /** RFC 8489 section 14.9. At most 763 bytes of UTF-8. */
  readonly Realm: AttributeType<string>;
  /** RFC 8489 section 14.10. Opaque: one character for each byte, at most 763. */
  readonly Nonce: AttributeType<string>;
  /** RFC 8656 section 18.5. */
  readonly XorRelayedAddress: AttributeType<TransportAddress>;
  /** RFC 8656 section 18.6. */
  readonly RequestedAddressFamily: AttributeType<AddressFamily>;
  /** RFC 8656 section 18.7. */
  readonly EvenPort: AttributeType<EvenPort>;
  /** RFC 8656 section 18.8: an IP protocol number, see `TransportProtocol`. */
  readonly RequestedTransport: AttributeType<number>;
  /** RFC 8656 section 18.9. */
  readonly DontFragment: AttributeType<true>;
  /** RFC 7635 section 6.2. Opaque. */
  readonly AccessToken: AttributeType<Uint8Array>;
  /** RFC 8489 section 14.6: 16 to 32 bytes, a multiple of four. Set by `encodeMessage`, checked by `checkIntegrity`. */
  readonly MessageIntegritySha256: AttributeType<Uint8Array>;
  /** RFC 8489 section 14.12. */
  readonly PasswordAlgorithm: AttributeType<PasswordAlgorithm>;
  /** RFC 8489 section 14.4, 32 bytes. See `userHash`. */
  readonly UserHash: AttributeType<Uint8Array>;
  /** RFC 8489 section 14.2. */
  readonly XorMappedAddress: AttributeType<TransportAddress>;
  /** RFC 8656 section 18.10, 8 bytes. */
  readonly ReservationToken: AttributeType<Uint8Array>;
  /** RFC 8445 section 16.1. */
  readonly Priority: AttributeType<number>;
  /** RFC 8445 section 16.1. */
  readonly UseCandidate: AttributeType<true>;
  /** RFC 5780 section 7.6. */
  readonly Padding: AttributeType<Uint8Array>;
  /** RFC 5780 section 7.5, 0 to 65535. */
  readonly ResponsePort: AttributeType<number>;
  /** RFC 6062 section 6.2.1. */
  readonly ConnectionId: AttributeType<number>;
  /** RFC 8656 section 18.11. */
  readonly AdditionalAddressFamily: AttributeType<AddressFamily>;
  /** RFC 8656 section 18.12. */
  readonly AddressErrorCode: AttributeType<AddressErrorCodeValue>;
  /** RFC 8489 section 14.11. */
  readonly PasswordAlgorithms: AttributeType<readonly PasswordAlgorithm[]>;
  /** RFC 8489 section 14.16. */
  readonly AlternateDomain: AttributeType<string>;
  /** RFC 8656 section 18.13. */
  readonly Icmp: AttributeType<IcmpValue>;
  /** RFC 8489 section 14.14. At most 763 bytes of UTF-8. */
  readonly Software: AttributeType<string>;
  /** RFC 8489 section 14.15. */
  readonly AlternateServer: AttributeType<TransportAddress>;
  /** RFC 7982 section 3.1. */
  readonly TransactionTransmitCounter: AttributeType<TransmitCounter>;
  /** RFC 5780 section 7.7 (drafts of it), in seconds. */
  readonly CacheTimeout: AttributeType<number>;
  /** RFC 8489 section 14.7. Set by `encodeMessage`, checked by `checkFingerprint`. */
  readonly Fingerprint: AttributeType<number>;
  /** RFC 8445 section 16.1. */
  readonly IceControlled: AttributeType<bigint>;
  /** RFC 8445 section 16.1. */
  readonly IceControlling: AttributeType<bigint>;
  /** RFC 5780 section 7.3. */
  readonly ResponseOrigin: AttributeType<TransportAddress>;
  /** RFC 5780 section 7.4. */
  readonly OtherAddress: AttributeType<TransportAddress>;
  /** RFC 6679 section 7.2.2. */
  readonly EcnCheck: AttributeType<EcnCheck>;
  /** RFC 7635 section 6.1: the name of the authorization server. */
  readonly ThirdPartyAuthorization: AttributeType<string>;
  /** draft-ietf-tram-stun-origin: a web origin, sent by some WebRTC clients. */
  readonly Origin: AttributeType<string>;
  /** RFC 8016 section 3.3. Empty in an Allocate request, opaque otherwise. */
  readonly MobilityTicket: AttributeType<Uint8Array>;
  /** Sent by Chromium. */
  readonly NetworkInfo: AttributeType<NetworkInfo>;
}

/** RFC 8489: fewer than 128 characters, which can be as long as 763 bytes. */
const MAX_TEXT = 763;
const MAX_USERNAME = 513;

export const Attr: AttributeTable = {
  MappedAddress: address(0x0001, "MAPPED-ADDRESS"),
  ResponseAddress: address(0x0002, "RESPONSE-ADDRESS"),
  ChangeRequest: changeRequest(0x0003, "CHANGE-REQUEST"),
  SourceAddress: address(0x0004, "SOURCE-ADDRESS"),
  ChangedAddress: address(0x0005, "CHANGED-ADDRESS"),
  Username: text(0x0006, "USERNAME", MAX_USERNAME),
  Password: text(0x0007, "PASSWORD", MAX_TEXT),
  MessageIntegrity: bytes(0x0008, "MESSAGE-INTEGRITY", 20, 20),
  ErrorCode: errorCode(0x0009, "ERROR-CODE"),
  UnknownAttributes: u16List(0x000a, "UNKNOWN-ATTRIBUTES"),
  ReflectedFrom: address(0x000b, "REFLECTED-FROM"),
  ChannelNumber: u16Padded(0x000c, "CHANNEL-NUMBER"),
  Lifetime: u32(0x000d, "LIFETIME"),
  XorPeerAddress: xoredAddress(0x0012, "XOR-PEER-ADDRESS"),
  Data: bytes(0x0013, "DATA"),
  Realm: text(0x0014, "REALM", MAX_TEXT),
  Nonce: byteText(0x0015, "NONCE", MAX_TEXT),
  XorRelayedAddress: xoredAddress(0x0016, "XOR-RELAYED-ADDRESS"),
  RequestedAddressFamily: addressFamily(0x0017, "REQUESTED-ADDRESS-FAMILY"),
  EvenPort: evenPort(0x0018, "EVEN-PORT"),
  RequestedTransport: u8Padded(0x0019, "REQUESTED-TRANSPORT"),
  DontFragment: empty(0x001a, "DONT-FRAGMENT"),
  AccessToken: bytes(0x001b, "ACCESS-TOKEN"),
  MessageIntegritySha256: bytes(0x001c, "MESSAGE-INTEGRITY-SHA256", 16, 32, 4),
  PasswordAlgorithm: passwordAlgorithm(0x001d, "PASSWORD-ALGORITHM"),
  UserHash: bytes(0x001e, "USERHASH", 32, 32),
  XorMappedAddress: xoredAddress(0x0020, "XOR-MAPPED-ADDRESS"),
  ReservationToken: bytes(0x0022, "RESERVATION-TOKEN", 8, 8),
  Priority: u32(0x0024, "PRIORITY"),
  UseCandidate: empty(0x0025, "USE-CANDIDATE"),
  Padding: bytes(0x0026, "PADDING"),
  ResponsePort: u16Padded(0x0027, "RESPONSE-PORT", true),
  ConnectionId: u32(0x002a, "CONNECTION-ID"),
  AdditionalAddressFamily: addressFamily(0x8000, "ADDITIONAL-ADDRESS-FAMILY"),
  AddressErrorCode: addressErrorCode(0x8001, "ADDRESS-ERROR-CODE"),
  PasswordAlgorithms: passwordAlgorithms(0x8002, "PASSWORD-ALGORITHMS"),
  AlternateDomain: text(0x8003, "ALTERNATE-DOMAIN", 255),
  Icmp: icmp(0x8004, "ICMP"),
  Software: displayText(0x8022, "SOFTWARE", MAX_TEXT),
  AlternateServer: address(0x8023, "ALTERNATE-SERVER"),
  TransactionTransmitCounter: transmitCounter(0x8025, "TRANSACTION_TRANSMIT_COUNTER"),
  CacheTimeout: u32(0x8027, "CACHE-TIMEOUT"),
  Fingerprint: u32(0x8028, "FINGERPRINT"),
  IceControlled: u64(0x8029, "ICE-CONTROLLED"),
  IceControlling: u64(0x802a, "ICE-CONTROLLING"),
  ResponseOrigin: address(0x802b, "RESPONSE-ORIGIN"),
  OtherAddress: address(0x802c, "OTHER-ADDRESS"),
  EcnCheck: ecnCheck(0x802d, "ECN-CHECK"),
  ThirdPartyAuthorization: text(0x802e, "THIRD-PARTY-AUTHORIZATION", MAX_TEXT),
  Origin: displayText(0x802f, "ORIGIN", MAX_TEXT),
  MobilityTicket: bytes(0x8030, "MOBILITY-TICKET"),
  NetworkInfo: networkInfo(0xc057, "GOOG-NETWORK-INFO"),
};

const BY_TYPE: ReadonlyMap<number, AttributeType<unknown>> = new Map(
  Object.values(Attr).map((entry: AttributeType<unknown>) => [entry.type, entry]),
);

/** The attribute with this type, if the library knows it. */
export function attributeOfType(type: number): AttributeType<unknown> | undefined {
  return BY_TYPE.get(type);
}
