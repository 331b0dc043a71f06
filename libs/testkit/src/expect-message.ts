import { Attr, decodeMessage, MessageClass, type StunMessage } from "@culvert/stun";

/**
 * Decodes bytes that have to be a STUN message.
 *
 * @throws Error when they are none.
 */
export function mustDecode(bytes: Uint8Array): StunMessage {
  const result = decodeMessage(bytes);
  if (!result.ok) throw new Error(`not a STUN message: ${result.reason}`);
  return result.message;
}

/** "success", or the error code. Undefined for what is no response. */
export function outcomeOf(message: StunMessage): "success" | number | undefined {
  if (message.class === MessageClass.Success) return "success";
  return message.class === MessageClass.Error ? message.get(Attr.ErrorCode)?.code : undefined;
}
