import type { TransportAddress } from "@culvert/stun";
import type { ClientTuple } from "./io.ts";

/** A 5-tuple as a key of maps. */
export function tupleKey(client: ClientTuple): string {
  return `${client.listener} ${addressKey(client.remote)}`;
}

/** A transport address as a key of maps. */
export function addressKey(address: TransportAddress): string {
  return `${address.ip} ${address.port}`;
}

/** One transaction of one client as a key of maps. */
export function transactionKey(client: ClientTuple, transactionId: Uint8Array): string {
  return `${tupleKey(client)} ${hex(transactionId)}`;
}

export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function sameTransaction(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
