import { createHmac } from "node:crypto";

/** What a TURN client logs in with. */
export interface TurnAccount {
  readonly username: string;
  readonly password: string;
}

/** Credentials by coturn's REST scheme. `expiresAt` in seconds since the Unix epoch. */
export function restAccount(secret: string, expiresAt: number, user = "e2e"): TurnAccount {
  const username = `${expiresAt}:${user}`;
  return { username, password: createHmac("sha1", secret).update(username).digest("base64") };
}
