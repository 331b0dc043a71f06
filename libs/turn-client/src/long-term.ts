import {
  Attr,
  attribute,
  checkIntegrity,
  type EncodedAttribute,
  type IntegrityCheck,
  longTermKey,
  type MessageIntegrity,
  type PasswordAlgorithm,
  PasswordAlgorithmId,
  parseNonceCookie,
  type StunCrypto,
  type StunMessage,
  userHash,
} from "@culvert/stun";
import { TurnError } from "./errors.ts";

export interface LongTermOptions {
  readonly username: string;
  readonly password: string;
  /** Send USERHASH instead of USERNAME to servers that understand it (RFC 8489 section 9.2). */
  readonly anonymous: boolean;
}

/** What the last challenge of the server said. */
interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  /** PASSWORD-ALGORITHMS as offered; empty when the server did not offer any. */
  readonly offered: readonly PasswordAlgorithm[];
  readonly chosen: PasswordAlgorithm | undefined;
  readonly hashUsername: boolean;
}

export interface Signature {
  readonly attributes: readonly EncodedAttribute[];
  readonly integrity: MessageIntegrity;
}

/** In the order of preference. */
const SUPPORTED: readonly number[] = [PasswordAlgorithmId.Sha256, PasswordAlgorithmId.Md5];

/** The client's side of the long-term credential mechanism (RFC 8489 section 9.2). */
export class LongTermSession {
  readonly #options: LongTermOptions;
  readonly #crypto: StunCrypto;
  #challenge: Challenge | undefined;
  #key: Uint8Array = new Uint8Array(0);

  constructor(options: LongTermOptions, crypto: StunCrypto) {
    this.#options = options;
    this.#crypto = crypto;
  }

  /** Undefined until a server has sent a challenge. */
  get realm(): string | undefined {
    return this.#challenge?.realm;
  }

  get nonce(): string | undefined {
    return this.#challenge?.nonce;
  }

  /** Forgets the challenge: another server makes its own. */
  reset(): void {
    this.#challenge = undefined;
  }

  /**
   * Takes realm, nonce and password algorithms from a 401 or a 438.
   *
   * @throws TurnError `protocol` when the request must not be sent again (RFC 8489 section 9.2.5)
   */
  accept(response: StunMessage, step: string): void {
    const refuse = (reason: string): TurnError => new TurnError({ kind: "protocol", step, reason, response });
    const nonce = response.get(Attr.Nonce);
    const realm = response.get(Attr.Realm) ?? this.#challenge?.realm;
    if (nonce === undefined || realm === undefined) throw refuse("the server's challenge has no REALM or no NONCE");
    const features = parseNonceCookie(nonce);
    const offered = response.get(Attr.PasswordAlgorithms) ?? [];
    if (features?.passwordAlgorithms && offered.length === 0) {
      throw refuse("the nonce announces PASSWORD-ALGORITHMS, which is missing: somebody may have removed it");
    }
    const chosen = SUPPORTED.map((id) => offered.find(({ algorithm }) => algorithm === id)).find((item) => item);
    if (offered.length > 0 && !chosen) throw refuse("the server offers no password algorithm that is supported");
    const { anonymous, username, password } = this.#options;
    this.#challenge = {
      realm,
      nonce,
      offered,
      chosen,
      hashUsername: anonymous && (features?.usernameAnonymity ?? false),
    };
    const algorithm = chosen?.algorithm === PasswordAlgorithmId.Sha256 ? "sha256" : "md5";
    this.#key = longTermKey({ username, realm, password, algorithm }, this.#crypto);
  }

  /** What makes a request authentic. Undefined until there was a challenge. `nonce` is sent instead of the server's. */
  sign(nonce?: string): Signature | undefined {
    const challenge = this.#challenge;
    if (!challenge) return undefined;
    const { realm, offered, chosen, hashUsername } = challenge;
    const { username } = this.#options;
    const attributes = [
      hashUsername
        ? attribute(Attr.UserHash, userHash(username, realm, this.#crypto))
        : attribute(Attr.Username, username),
      attribute(Attr.Realm, realm),
      attribute(Attr.Nonce, nonce ?? challenge.nonce),
    ];
    if (chosen) {
      attributes.push(attribute(Attr.PasswordAlgorithms, offered), attribute(Attr.PasswordAlgorithm, chosen));
    }
    return { attributes, integrity: { key: this.#key, algorithm: this.#algorithm, crypto: this.#crypto } };
  }

  /** Whether a response comes from somebody who knows the password. */
  check(response: StunMessage): IntegrityCheck {
    return checkIntegrity(response, this.#algorithm, this.#key, this.#crypto);
  }

  /** RFC 8489 section 9.2.5: a server that offers password algorithms is spoken to with SHA-256. */
  get #algorithm(): "sha1" | "sha256" {
    return this.#challenge?.chosen ? "sha256" : "sha1";
  }
}
