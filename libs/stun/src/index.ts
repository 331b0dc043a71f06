export * from "./access-token.ts";
export {
  type AddressFamily,
  canonicalIp,
  familyOf,
  formatAddress,
  formatIp,
  parseAddress,
  parseIp,
  parsePort,
  sameAddress,
  type TransportAddress,
} from "./address.ts";
export {
  type AttributeType,
  attribute,
  type EncodedAttribute,
  isComprehensionRequired,
  rawAttribute,
} from "./attribute-type.ts";
export { Attr, type AttributeTable, attributeOfType } from "./attributes.ts";
export * from "./channel-data.ts";
export * from "./constants.ts";
export * from "./credentials.ts";
export * from "./crypto.ts";
export * from "./demux.ts";
export { encodeMessage, type MessageInit, type MessageIntegrity } from "./encode.ts";
export * from "./framing.ts";
export { checkFingerprint, checkIntegrity, type IntegrityAlgorithm, type IntegrityCheck } from "./integrity.ts";
export { type DecodeError, type DecodeResult, decodeMessage, type StunMessage } from "./message.ts";
export * from "./nonce-cookie.ts";
export * from "./relayed-data.ts";
export * from "./uri.ts";
export { utf8Decode, utf8DecodeLossy, utf8Encode, utf8Length, utf8Write } from "./utf8.ts";
export type {
  AddressErrorCodeValue,
  ChangeRequest,
  EcnCheck,
  ErrorCodeValue,
  EvenPort,
  IcmpValue,
  NetworkInfo,
  PasswordAlgorithm,
  TransmitCounter,
} from "./value-codecs.ts";
export type { Allocate } from "./wire.ts";
