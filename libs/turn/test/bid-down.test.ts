import { Attr, attribute, type EncodedAttribute, type PasswordAlgorithm } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab } from "./support/lab.ts";
import { allocate } from "./support/requests.ts";

const algorithm = (id: number, parameters: readonly number[] = []): PasswordAlgorithm => ({
  algorithm: id,
  parameters: Uint8Array.from(parameters),
});
const MD5 = algorithm(1);
const SHA256 = algorithm(2);
const list = (...items: PasswordAlgorithm[]): EncodedAttribute => attribute(Attr.PasswordAlgorithms, items);
const chosen = (item: PasswordAlgorithm): EncodedAttribute => attribute(Attr.PasswordAlgorithm, item);

describe("bid-down protection (RFC 8489 section 9.2.4): the server announced SHA-256 and MD5", () => {
  it.each<[string, readonly EncodedAttribute[]]>([
    ["the list alone", [list(SHA256, MD5)]],
    ["the choice alone", [chosen(SHA256)]],
    ["a list without SHA-256", [list(MD5), chosen(MD5)]],
    ["a list without MD5", [list(SHA256), chosen(SHA256)]],
    ["a list in another order", [list(MD5, SHA256), chosen(SHA256)]],
    ["a longer list", [list(SHA256, MD5, algorithm(3)), chosen(SHA256)]],
    ["an empty list", [list(), chosen(SHA256)]],
    ["a list with parameters", [list(algorithm(2, [1, 2, 3, 4]), MD5), chosen(SHA256)]],
    ["a choice with parameters", [list(SHA256, MD5), chosen(algorithm(2, [1, 2, 3, 4]))]],
    ["a choice that is not in the list", [list(SHA256, MD5), chosen(algorithm(3))]],
  ])("refuses %s with 400", (_, algorithmAttributes) => {
    const lab = new Lab();
    const reply = allocate(lab.client({ dialect: "rfc8489" }), [], { algorithmAttributes });
    expect(reply.outcome).toBe(400);
    expect(lab.events("auth-failed").at(-1)).toMatchObject({ reason: "bid-down" });
  });

  it("accepts MD5 as the choice of a client that sends the list back", () => {
    const client = new Lab().client({ dialect: "rfc8489" });
    const algorithmAttributes = [list(SHA256, MD5), chosen(MD5)];
    expect(allocate(client, [], { algorithmAttributes, keyAlgorithm: "md5" }).outcome).toBe("success");
  });

  it("takes the key by the choice, not by what would fit", () => {
    const client = new Lab().client({ dialect: "rfc8489" });
    const algorithmAttributes = [list(SHA256, MD5), chosen(MD5)];
    expect(allocate(client, [], { algorithmAttributes, keyAlgorithm: "sha256" }).outcome).toBe(401);
  });

  it("refuses RFC 5766 clients with 400 only where MD5 is switched off", () => {
    expect(allocate(new Lab().client()).outcome).toBe("success");
    const strict = new Lab({ config: { passwordAlgorithms: ["sha256"] } });
    expect(allocate(strict.client()).outcome).toBe(400);
    expect(allocate(strict.client({ dialect: "rfc8489" })).outcome).toBe("success");
  });
});
