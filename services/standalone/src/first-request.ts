import type { IceServer } from "./ready.ts";

/** What an application shows the API. */
export interface Access {
  readonly keyId: string;
  readonly token: string;
}

/** Requests in all, where one after the other comes too late. */
const ATTEMPTS = 10;
const TOO_LATE = 408;

/**
 * Credentials by the way that an application takes, so that a platform that says it is up has issued some. One process asks
 * and answers: where the machine stands still, the API gives a request up that was not sent yet, and is asked again.
 *
 * @throws Error with the API's answer, when it is another one than credentials
 */
export async function issueFirst(apiUrl: string, access: Access): Promise<readonly IceServer[]> {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(apiUrl, access).catch((error: unknown) => {
      // The connection can end before its answer is read.
      if (attempt < ATTEMPTS) return undefined;
      throw error;
    });
    if (answer === undefined || (answer.status === TOO_LATE && attempt < ATTEMPTS)) continue;
    const { ok, status, text } = answer;
    if (!ok) throw new Error(`${apiUrl} issued no credentials: ${status} ${text}`);
    const body: { iceServers: readonly IceServer[] } = JSON.parse(text);
    return body.iceServers;
  }
}

async function ask(
  apiUrl: string,
  { keyId, token }: Access,
): Promise<{ readonly ok: boolean; readonly status: number; readonly text: string }> {
  const response = await fetch(`${apiUrl}/v1/turn/keys/${keyId}/credentials/generate-ice-servers`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: "{}",
  });
  return { ok: response.ok, status: response.status, text: await response.text() };
}
