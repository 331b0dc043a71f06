import { type RandomSource, randomId } from "./random.ts";

/** The longest user name in UTF-16 code units. */
export const MAX_USER_LENGTH = 128;

const SESSION_ID = /^s_[A-Za-z0-9_-]{22}$/;
const FULL_ADDRESS = /^(.+)\/(s_[A-Za-z0-9_-]{22})$/s;
const PRINTABLE = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+$/u;

/** Where a message goes: to one session, or to all sessions of a user. */
export interface PeerAddress {
  readonly user: string;
  readonly session?: string;
}

export function newSessionId(random: RandomSource): string {
  return `s_${randomId(random)}`;
}

export function isSessionId(text: string): boolean {
  return SESSION_ID.test(text);
}

/** `alice/s_...`: what the server stamps as `from`, and what `to` takes to reach exactly that session. */
export function formatPeer(user: string, session: string): string {
  return `${user}/${session}`;
}

/** Reads `to`: `<user>/<session id>`, or else a user. Undefined if neither is possible. */
export function parsePeer(text: string): PeerAddress | undefined {
  const [, user, session] = FULL_ADDRESS.exec(text) ?? [];
  if (user !== undefined && session !== undefined) return { user, session };
  return isUser(text) ? { user: text } : undefined;
}

/** Whether a name can be a user: 1 to 128 characters, none a control character, and not the address of a session. */
export function isUser(text: string): boolean {
  return text.length <= MAX_USER_LENGTH && PRINTABLE.test(text) && !FULL_ADDRESS.test(text);
}
