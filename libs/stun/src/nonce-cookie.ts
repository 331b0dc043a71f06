/** What a server announces in front of its nonces (RFC 8489 sections 9.2 and 18.1). */
export interface SecurityFeatures {
  /** Bit 0: PASSWORD-ALGORITHMS is sent and must be sent back. */
  readonly passwordAlgorithms: boolean;
  /** Bit 1: USERHASH is understood. */
  readonly usernameAnonymity: boolean;
}

const COOKIE = "obMatJos2";
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const FEATURE_CHARACTERS = 4;
/** Bit 0 is the leftmost of 24 (section 18.1), although the sample of appendix B.1 counts from the right. */
const PASSWORD_ALGORITHMS = 1 << 23;
const USERNAME_ANONYMITY = 1 << 22;

/** Characters of the nonce cookie with its features: what follows them is the nonce proper. */
export const NONCE_COOKIE_LENGTH: number = COOKIE.length + FEATURE_CHARACTERS;

/** The 13 characters that a nonce has to begin with when the server supports one of the features. */
export function encodeNonceCookie(features: SecurityFeatures): string {
  const bits =
    (features.passwordAlgorithms ? PASSWORD_ALGORITHMS : 0) | (features.usernameAnonymity ? USERNAME_ANONYMITY : 0);
  let text = COOKIE;
  for (let shift = 18; shift >= 0; shift -= 6) text += ALPHABET[(bits >> shift) & 0x3f];
  return text;
}

/** The features that a nonce announces. Undefined when it does not begin with a nonce cookie. */
export function parseNonceCookie(nonce: string): SecurityFeatures | undefined {
  if (!nonce.startsWith(COOKIE) || nonce.length < NONCE_COOKIE_LENGTH) return undefined;
  let bits = 0;
  for (let i = COOKIE.length; i < NONCE_COOKIE_LENGTH; i++) {
    const value = ALPHABET.indexOf(nonce.charAt(i));
    if (value < 0) return undefined;
    bits = (bits << 6) | value;
  }
  return {
    passwordAlgorithms: (bits & PASSWORD_ALGORITHMS) !== 0,
    usernameAnonymity: (bits & USERNAME_ANONYMITY) !== 0,
  };
}
