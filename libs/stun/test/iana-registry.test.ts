import { readFileSync } from "node:fs";
import {
  Attr,
  type AttributeType,
  attributeOfType,
  ErrorCode,
  isComprehensionRequired,
  Method,
  reasonPhrase,
} from "@culvert/stun";
import { describe, expect, it } from "vitest";

/** Assigned values of a registry file; of "Reserved; was X" the X. */
function assigned(file: string): Map<number, string> {
  const lines = readFileSync(new URL(`data/${file}`, import.meta.url), "utf8")
    .trim()
    .split("\n")
    .slice(1);
  const entries = lines.flatMap((line): [number, string][] => {
    const [value = "", name = ""] = line.split(",");
    const former = /^Reserved; was (\S+) prior/.exec(name)?.[1];
    if (former) return [[Number(value), former]];
    return /^(Reserved|Unassigned)/.test(name) ? [] : [[Number(value), name]];
  });
  return new Map(entries);
}

/** Comprehension-optional ones that this library has no use for: experiments of single vendors. */
const LEFT_OUT = /^(CISCO-|ENF-|DTLS-IN-STUN|GOOG-(?!NETWORK-INFO))/;
/** Names that differ from the registry's, and the one that never came into it. */
const RENAMED = new Map([["ECN-CHECK", "ECN-CHECK STUN"]]);
const UNREGISTERED = ["ORIGIN"];

const table: readonly AttributeType<unknown>[] = Object.values(Attr);

describe("IANA's STUN attributes", () => {
  const registry = assigned("iana-stun-attributes.csv");

  it("are all in the table, but for vendors' experiments", () => {
    const missing = [...registry].filter(([type, name]) => !attributeOfType(type) && !LEFT_OUT.test(name));
    expect(missing).toEqual([]);
  });

  it("are the only ones in the table, under their names", () => {
    for (const { type, name } of table) {
      if (!UNREGISTERED.includes(name)) expect(registry.get(type), name).toBe(RENAMED.get(name) ?? name);
    }
  });

  it("that are left out are comprehension-optional", () => {
    const required = [...registry].filter(([type]) => !attributeOfType(type) && isComprehensionRequired(type));
    expect(required).toEqual([]);
  });

  it("have one entry each", () => {
    expect(new Set(table.map(({ type }) => type)).size).toBe(table.length);
  });
});

it("IANA's STUN methods are the library's", () => {
  const registry = assigned("iana-stun-methods.csv");
  registry.delete(0x080);
  expect(new Map(Object.entries(Method).map(([name, value]) => [value, name]))).toEqual(registry);
});

describe("IANA's STUN error codes", () => {
  const registry = assigned("iana-stun-error-codes.csv");

  it("have their registered reason phrases", () => {
    for (const [code, name] of registry) expect(reasonPhrase(code)).toBe(name);
  });

  it("are the library's, with those of RFC 3489", () => {
    const former = [430, 431, 432, 433, 600];
    expect(Object.values(ErrorCode).toSorted()).toEqual([...registry.keys(), ...former].toSorted());
  });

  it("others have no reason phrase", () => {
    expect(reasonPhrase(499)).toBe("");
  });
});
