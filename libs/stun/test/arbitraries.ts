import {
  type AddressFamily,
  Attr,
  type AttributeTable,
  type AttributeType,
  attribute,
  type EncodedAttribute,
  encodeMessage,
  formatIp,
  MessageClass,
  type TransportAddress,
} from "@culvert/stun";
import fc from "fast-check";

type ValueOf<Type> = Type extends AttributeType<infer Value> ? Value : never;
type ValueArbitraries = { readonly [Name in keyof AttributeTable]: fc.Arbitrary<ValueOf<AttributeTable[Name]>> };

export const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });

export const ip: fc.Arbitrary<string> = fc.oneof(bytes(4, 4), bytes(16, 16)).map(formatIp);
export const port: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0xffff });
export const address: fc.Arbitrary<TransportAddress> = fc.record({ ip, port });

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = port;
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: 0xffffffffffffffffn });
const yes = fc.constant(true as const);
const family = fc.constantFrom<AddressFamily>(4, 6);
const text = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: "binary", maxLength });
const code = fc.integer({ min: 300, max: 699 });
const byteText = bytes(0, 128).map((value) => Buffer.from(value).toString("latin1"));
const passwordAlgorithm = fc.record({ algorithm: u16, parameters: bytes(0, 40) });

/** A valid value for every attribute of the table. */
export const values: ValueArbitraries = {
  MappedAddress: address,
  ResponseAddress: address,
  ChangeRequest: fc.record({ changeIp: fc.boolean(), changePort: fc.boolean() }),
  SourceAddress: address,
  ChangedAddress: address,
  Username: text(128),
  Password: text(128),
  MessageIntegrity: bytes(20, 20),
  ErrorCode: fc.record({ code, reason: text(128) }),
  UnknownAttributes: fc.array(u16, { maxLength: 20 }),
  ReflectedFrom: address,
  ChannelNumber: u16,
  Lifetime: u32,
  XorPeerAddress: address,
  Data: bytes(0, 1500),
  Realm: text(128),
  Nonce: byteText,
  XorRelayedAddress: address,
  RequestedAddressFamily: family,
  EvenPort: fc.record({ reserveNext: fc.boolean() }),
  RequestedTransport: u8,
  DontFragment: yes,
  AccessToken: bytes(0, 200),
  MessageIntegritySha256: fc.constantFrom(16, 20, 24, 28, 32).chain((length) => bytes(length, length)),
  PasswordAlgorithm: passwordAlgorithm,
  UserHash: bytes(32, 32),
  XorMappedAddress: address,
  ReservationToken: bytes(8, 8),
  Priority: u32,
  UseCandidate: yes,
  Padding: bytes(0, 1500),
  ResponsePort: port,
  ConnectionId: u32,
  AdditionalAddressFamily: family,
  AddressErrorCode: fc.record({ family, code, reason: text(128) }),
  PasswordAlgorithms: fc.array(passwordAlgorithm, { maxLength: 5 }),
  AlternateDomain: text(60),
  Icmp: fc.record({ type: u8, code: u8, data: u32 }),
  Software: text(128),
  AlternateServer: address,
  TransactionTransmitCounter: fc.record({ requests: u8, responses: u8 }),
  CacheTimeout: u32,
  Fingerprint: u32,
  IceControlled: u64,
  IceControlling: u64,
  ResponseOrigin: address,
  OtherAddress: address,
  EcnCheck: fc.record({ ecn: fc.integer({ min: 0, max: 3 }), valid: fc.boolean() }),
  ThirdPartyAuthorization: text(128),
  Origin: text(128),
  MobilityTicket: bytes(0, 200),
  NetworkInfo: fc.record({ id: u16, cost: u16 }),
};

function encodedArbitrary<Name extends keyof AttributeTable>(name: Name): fc.Arbitrary<EncodedAttribute> {
  const type: AttributeType<unknown> = Attr[name];
  return values[name].map((value: unknown) => attribute(type, value));
}

export const names: readonly (keyof AttributeTable)[] = Object.keys(Attr).filter(
  (name): name is keyof AttributeTable => name in Attr,
);

const CLOSING: readonly (keyof AttributeTable)[] = ["MessageIntegrity", "MessageIntegritySha256", "Fingerprint"];

/** Any attributes but those that close a message. */
export const encodedAttributes: fc.Arbitrary<readonly EncodedAttribute[]> = fc.array(
  fc.oneof(...names.filter((name) => !CLOSING.includes(name)).map(encodedArbitrary)),
  { maxLength: 8 },
);

export const messageClass: fc.Arbitrary<MessageClass> = fc.constantFrom(...Object.values(MessageClass));
export const method: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0xfff });

/** Valid messages with any attributes. */
export const message: fc.Arbitrary<Uint8Array> = fc
  .record({
    method,
    class: messageClass,
    transactionId: bytes(12, 12),
    attributes: encodedAttributes,
    fingerprint: fc.boolean(),
  })
  .map(encodeMessage);
