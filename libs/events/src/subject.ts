import { Buffer } from "node:buffer";
import { BusError, type BusHeaders } from "./port.ts";

/** The longest subject or pattern in characters. */
export const MAX_SUBJECT_LENGTH: number = 1024;

const TOKEN = /^[\x21-\x7e]+$/;
const WILDCARD = /[*>]/;
/** Stands for the empty text: one character is never a whole base64url group, so nothing else encodes to it. */
const EMPTY_TOKEN = "-";

/**
 * One subject token for any text, names of tenants, users and rooms above all: base64url of its UTF-8, so that `.`,
 * `*`, `>`, spaces and NUL mean nothing to the bus. Different texts have different tokens (lone surrogates aside).
 */
export function subjectToken(text: string): string {
  return text === "" ? EMPTY_TOKEN : Buffer.from(text, "utf8").toString("base64url");
}

/** The text behind {@link subjectToken}, or undefined if the token did not come from it. */
export function tokenText(token: string): string | undefined {
  if (token === EMPTY_TOKEN) return "";
  const text = Buffer.from(token, "base64url").toString("utf8");
  return text !== "" && subjectToken(text) === token ? text : undefined;
}

const wellFormed = (subject: string): boolean =>
  subject.length <= MAX_SUBJECT_LENGTH && subject.split(".").every((token) => TOKEN.test(token));

/** @throws BusError `bad-subject` unless messages can be published under `subject` */
export function assertSubject(subject: string): void {
  if (!wellFormed(subject) || WILDCARD.test(subject)) {
    throw new BusError(
      "bad-subject",
      `${JSON.stringify(subject)}: a subject is tokens of printable ASCII joined by "."`,
    );
  }
}

/** @throws BusError `bad-subject` unless `pattern` can be subscribed to */
export function assertPattern(pattern: string): void {
  const tokens = pattern.split(".");
  const misplaced = tokens.some(
    (token, index) => (WILDCARD.test(token) && token.length > 1) || (token === ">" && index !== tokens.length - 1),
  );
  if (!wellFormed(pattern) || misplaced) {
    throw new BusError(
      "bad-subject",
      `${JSON.stringify(pattern)}: a pattern is tokens joined by ".", where "*" is a whole token and ">" the last one`,
    );
  }
}

export function hasWildcard(pattern: string): boolean {
  return WILDCARD.test(pattern);
}

/** Whether a message under `subject` goes to subscribers of `pattern`. Both must be well formed. */
export function subjectMatches(pattern: string, subject: string): boolean {
  const wanted = pattern.split(".");
  const tokens = subject.split(".");
  for (const [index, token] of wanted.entries()) {
    if (token === ">") return tokens.length > index;
    if (index >= tokens.length || (token !== "*" && token !== tokens[index])) return false;
  }
  return wanted.length === tokens.length;
}

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const HEADER_VALUE = /^[\x20-\x7e]*$/;

/** @throws BusError `bad-header` if a name is not an HTTP token or a value not printable ASCII */
export function assertHeaders(headers: BusHeaders): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
      throw new BusError("bad-header", `header ${JSON.stringify(name)}: a token and printable ASCII are expected`);
    }
  }
}
