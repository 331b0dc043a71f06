import { nodeCrypto } from "@culvert/runtime";
import {
  Attr,
  attribute,
  type EncodedAttribute,
  encodeMessage,
  type IntegrityAlgorithm,
  longTermKey,
  MessageClass,
  type PasswordAlgorithm,
  PasswordAlgorithmId,
  type StunMessage,
  userHash,
} from "@culvert/stun";
import type { SeededRandom } from "./random.ts";

/** What a client was told by a challenge (401, 438). */
export interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly passwordAlgorithms?: readonly PasswordAlgorithm[];
}

export interface StunSessionOptions {
  readonly username: string;
  readonly password: string;
  readonly random: SeededRandom;
  /**
   * "rfc5389": MESSAGE-INTEGRITY over an MD5 key, as RFC 5766 clients do. "rfc8489": MESSAGE-INTEGRITY-SHA256 over the
   * strongest key that was announced. Default "rfc5389".
   */
  readonly dialect?: "rfc5389" | "rfc8489";
  /** Name the user by USERHASH. */
  readonly anonymous?: boolean;
}

/** What of a request is to differ from what a well-behaved client sends. */
export interface RequestChanges {
  readonly username?: string;
  readonly password?: string;
  readonly realm?: string;
  readonly nonce?: string;
  readonly transactionId?: Uint8Array;
  readonly fingerprint?: boolean;
  /** In place of those that the dialect would send. */
  readonly algorithmAttributes?: readonly EncodedAttribute[];
  /** The algorithm of the key. */
  readonly keyAlgorithm?: "md5" | "sha256";
  readonly integrity?: IntegrityAlgorithm;
}

/** The client's half of long-term credentials, without I/O: it writes requests and learns from challenges. */
export class StunSession {
  readonly options: StunSessionOptions;
  challenge: Challenge | undefined;

  constructor(options: StunSessionOptions) {
    this.options = options;
  }

  transactionId(): Uint8Array {
    return this.options.random.bytes(12);
  }

  /** A request without credentials. */
  bare(method: number, attributes: readonly EncodedAttribute[] = [], changes: RequestChanges = {}): Uint8Array {
    return encodeMessage({
      method,
      class: MessageClass.Request,
      transactionId: changes.transactionId ?? this.transactionId(),
      attributes,
      fingerprint: changes.fingerprint,
    });
  }

  indication(method: number, attributes: readonly EncodedAttribute[]): Uint8Array {
    return encodeMessage({ method, class: MessageClass.Indication, transactionId: this.transactionId(), attributes });
  }

  /** A request with credentials, once there was a challenge. */
  request(method: number, attributes: readonly EncodedAttribute[] = [], changes: RequestChanges = {}): Uint8Array {
    const { challenge } = this;
    if (challenge === undefined) return this.bare(method, attributes, changes);
    const { realm = challenge.realm, nonce = challenge.nonce } = changes;
    const { username = this.options.username, password = this.options.password } = changes;
    const modern = this.options.dialect === "rfc8489";
    const list = modern ? challenge.passwordAlgorithms : undefined;
    const chosen = list?.find(({ algorithm }) => algorithm === PasswordAlgorithmId.Sha256) ?? list?.[0];
    const strongest = chosen?.algorithm === PasswordAlgorithmId.Sha256 ? "sha256" : "md5";
    const algorithmAttributes =
      list === undefined || chosen === undefined
        ? []
        : [attribute(Attr.PasswordAlgorithms, list), attribute(Attr.PasswordAlgorithm, chosen)];
    const key = longTermKey({ username, realm, password, algorithm: changes.keyAlgorithm ?? strongest }, nodeCrypto);
    return encodeMessage({
      method,
      class: MessageClass.Request,
      transactionId: changes.transactionId ?? this.transactionId(),
      attributes: [
        ...attributes,
        this.options.anonymous
          ? attribute(Attr.UserHash, userHash(username, realm, nodeCrypto))
          : attribute(Attr.Username, username),
        attribute(Attr.Realm, realm),
        attribute(Attr.Nonce, nonce),
        ...(changes.algorithmAttributes ?? algorithmAttributes),
      ],
      integrity: { key, algorithm: changes.integrity ?? (modern ? "sha256" : "sha1"), crypto: nodeCrypto },
      fingerprint: changes.fingerprint,
    });
  }

  /** Takes realm, nonce and algorithms from a response that has them. Returns whether it had. */
  learn(response: StunMessage): boolean {
    const realm = response.get(Attr.Realm);
    const nonce = response.get(Attr.Nonce);
    if (realm === undefined || nonce === undefined) return false;
    const passwordAlgorithms = response.get(Attr.PasswordAlgorithms);
    this.challenge = { realm, nonce, ...(passwordAlgorithms === undefined ? {} : { passwordAlgorithms }) };
    return true;
  }
}
