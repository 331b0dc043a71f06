import type { TurnAccount } from "./account.ts";

export interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

/** How an application reaches the API. */
export interface ApiAccess {
  readonly apiUrl: string;
  readonly keyId: string;
  readonly token: string;
}

async function post<T>(
  access: ApiAccess,
  path: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<T> {
  const response = await fetch(`${access.apiUrl}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${access.token}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** `POST /v1/turn/keys/{id}/credentials/generate-ice-servers`. */
export async function generateIceServers(
  access: ApiAccess,
  body: object = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly IceServer[]> {
  const path = `/v1/turn/keys/${access.keyId}/credentials/generate-ice-servers`;
  return (await post<{ iceServers: readonly IceServer[] }>(access, path, { ttl: 3600, ...body }, headers)).iceServers;
}

/** A JWT for the signaling service. */
export async function signalingToken(access: ApiAccess, user: string): Promise<string> {
  return (await post<{ token: string }>(access, "/v1/signaling/tokens", { user, ttl: 600 })).token;
}

/** The credential of iceServers. */
export function accountOf(iceServers: readonly IceServer[]): TurnAccount {
  for (const { username, credential } of iceServers) {
    if (username !== undefined && credential !== undefined) return { username, password: credential };
  }
  throw new Error(`no credential in ${JSON.stringify(iceServers)}`);
}
