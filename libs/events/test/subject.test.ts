import { assertPattern, assertSubject, subjectMatches, subjectToken, tokenText } from "@culvert/events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

/** Any text that UTF-8 can carry. */
const wellFormedText = fc.string({ unit: "grapheme" });

describe("subjectToken", () => {
  it("makes one well-formed token of any text, and back", () => {
    fc.assert(
      fc.property(wellFormedText, (text) => {
        const token = subjectToken(text);
        expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(() => assertSubject(`a.${token}.b`)).not.toThrow();
        expect(tokenText(token)).toBe(text);
      }),
    );
  });

  it("never maps two texts to one token", () => {
    fc.assert(
      fc.property(wellFormedText, wellFormedText, (a, b) => {
        expect(subjectToken(a) === subjectToken(b)).toBe(a === b);
      }),
    );
  });

  it.each(["=", "YQ==", "Y", "", "a.b", "*", "YR"])("refuses %j, which it never made", (token) => {
    expect(tokenText(token)).toBeUndefined();
  });
});

describe("subjectMatches", () => {
  const token = fc.constantFrom("a", "b", "c");
  const subject = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join("."));
  const pattern = fc
    .tuple(fc.array(fc.oneof(token, fc.constant("*")), { maxLength: 4 }), fc.boolean())
    .filter(([tokens, rest]) => tokens.length > 0 || rest)
    .map(([tokens, rest]) => [...tokens, ...(rest ? [">"] : [])].join("."));

  it("agrees with the pattern read as a regular expression", () => {
    fc.assert(
      fc.property(pattern, subject, (wanted, actual) => {
        assertPattern(wanted);
        const source = wanted
          .split(".")
          .map((part) => (part === "*" ? "[^.]+" : part === ">" ? ".+" : part))
          .join("\\.");
        expect(subjectMatches(wanted, actual)).toBe(new RegExp(`^${source}$`).test(actual));
      }),
    );
  });
});
