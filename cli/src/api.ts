/** How to reach the credential API. */
export interface ApiAccess {
  readonly apiUrl: string;
  readonly keyId: string;
  readonly token: string;
}

export interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

export interface IssueRequest {
  /** Lifetime in seconds. */
  readonly ttl: number;
  readonly user?: string;
}

/** Asks the API for credentials. Throws a one-line `Error` with the status and the server's message. */
export async function issueCredentials(access: ApiAccess, request: IssueRequest): Promise<readonly IceServer[]> {
  const url = `${access.apiUrl.replace(/\/+$/, "")}/v1/turn/keys/${encodeURIComponent(access.keyId)}/credentials/generate-ice-servers`;
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${access.token}`, "content-type": "application/json" },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(10_000),
    });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new Error(`${access.apiUrl}: no answer (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw new Error(`${access.apiUrl}: ${response.status} ${errorText(body) ?? response.statusText}`);
  if (!isIceServers(body)) throw new Error(`${access.apiUrl}: the answer has no iceServers`);
  return body.iceServers;
}

function isIceServers(body: unknown): body is { iceServers: readonly IceServer[] } {
  return typeof body === "object" && body !== null && "iceServers" in body && Array.isArray(body.iceServers);
}

function errorText(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  if ("errors" in body && Array.isArray(body.errors)) return errorText(body.errors[0]);
  if ("error" in body && body.error !== null) return errorText(body.error);
  return "message" in body && typeof body.message === "string" ? body.message : undefined;
}
