import type { TransportAddress } from "@culvert/stun";
import type { ClientTransport, ClientTuple } from "./io.ts";

let lastClient: ClientTuple | undefined;
let lastKey = "";

/** A 5-tuple as a key of maps. A request asks for its own several times in a row: the last one is remembered. */
export function tupleKey(client: ClientTuple): string {
  if (client !== lastClient) {
    lastKey = `${client.listener} ${addressKey(client.remote)}`;
    lastClient = client;
  }
  return lastKey;
}

/** A transport address as a key of maps. */
export function addressKey(address: TransportAddress): string {
  return `${address.ip} ${address.port}`;
}

/** One transaction of one client as a key of maps. */
export function transactionKey(client: ClientTuple, transactionId: Uint8Array): string {
  return `${tupleKey(client)} ${hex(transactionId)}`;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hex(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i] ?? 0];
  return text;
}

export function sameTransaction(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function sameTuple(a: ClientTuple, b: ClientTuple): boolean {
  return a.listener === b.listener && a.remote.port === b.remote.port && a.remote.ip === b.remote.ip;
}

export function isStream(transport: ClientTransport): boolean {
  return transport === "tcp" || transport === "tls";
}
