import {
  Attr,
  attribute,
  checkIntegrity,
  type EncodedAttribute,
  encodeMessage,
  longTermKey,
  MessageClass,
  Method,
  rawAttribute,
  userHash,
} from "@culvert/stun";
import { nodeCrypto, type RequestChanges } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { known, Lab, REALM, START, UDP6 } from "./support/lab.ts";
import { allocate, refresh, UDP_TRANSPORT } from "./support/requests.ts";

const METHODS = [Method.Allocate, Method.Refresh, Method.CreatePermission, Method.ChannelBind];

describe("a request without credentials", () => {
  it.each(METHODS)("is answered with 401 and what it takes to do better (method %i)", (method) => {
    const lab = new Lab({ config: { software: "culvert" } });
    const response = lab.client().challenge(method);
    expect(response.get(Attr.ErrorCode)).toEqual({ code: 401, reason: "" });
    expect(response.get(Attr.Realm)).toBe(REALM);
    expect(response.get(Attr.Nonce)).toMatch(/^obMatJos2gAAA/);
    expect(response.get(Attr.PasswordAlgorithms)?.map(({ algorithm }) => algorithm)).toEqual([2, 1]);
    expect(response.has(Attr.Software)).toBe(false);
    expect(response.has(Attr.MessageIntegrity)).toBe(false);
    expect(lab.events("auth-failed")).toMatchObject([{ code: 401, reason: "no-integrity" }]);
    expect(lab.events("request")).toMatchObject([{ method, code: 401 }]);
  });

  it("is as RFC 5389 has it where password algorithms are switched off", () => {
    const client = new Lab({ config: { passwordAlgorithms: [] } }).client();
    const response = client.challenge();
    expect(response.get(Attr.Nonce)).not.toContain("obMatJos2");
    expect(response.has(Attr.PasswordAlgorithms)).toBe(false);
    expect(allocate(client).outcome).toBe("success");
  });
});

describe("a request with credentials", () => {
  it.each([
    ["rfc5389", "sha1", "md5"],
    ["rfc8489", "sha256", "sha256"],
  ] as const)("of the %s kind is answered in kind", (dialect, algorithm, keyAlgorithm) => {
    const reply = allocate(new Lab().client({ dialect }));
    expect(reply.outcome).toBe("success");
    if (reply.message === undefined) throw new Error("no answer");
    const key = longTermKey(
      { username: "alice", realm: REALM, password: "secret", algorithm: keyAlgorithm },
      nodeCrypto,
    );
    expect(checkIntegrity(reply.message, algorithm, key, nodeCrypto)).toBe("valid");
    expect(checkIntegrity(reply.message, algorithm === "sha1" ? "sha256" : "sha1", key, nodeCrypto)).toBe("absent");
  });

  it("may combine MESSAGE-INTEGRITY-SHA256 with an MD5 key", () => {
    expect(allocate(new Lab().client(), [], { integrity: "sha256" }).outcome).toBe("success");
  });

  it("is told SOFTWARE where configured", () => {
    const lab = new Lab({ config: { software: "culvert" } });
    expect(allocate(lab.client()).message?.get(Attr.Software)).toBe("culvert");
    expect(allocate(new Lab().client()).message?.has(Attr.Software)).toBe(false);
  });

  it("gets FINGERPRINT back", () => {
    expect(allocate(new Lab().client(), [], { fingerprint: true }).message?.has(Attr.Fingerprint)).toBe(true);
    expect(allocate(new Lab().client()).message?.has(Attr.Fingerprint)).toBe(false);
  });

  it.each<[string, RequestChanges, string]>([
    ["a wrong password", { password: "wrong" }, "wrong-password"],
    ["an unknown user", { username: "mallory" }, "rejected"],
    ["another realm", { realm: "elsewhere" }, "wrong-realm"],
    ["a key of another algorithm", { keyAlgorithm: "sha256" }, "wrong-password"],
  ])("with %s is answered with 401 and changes nothing", (_, changes, reason) => {
    const lab = new Lab();
    const reply = allocate(lab.client(), [], changes);
    expect(reply.outcome).toBe(401);
    expect(reply.message?.get(Attr.Realm)).toBe(REALM);
    expect(reply.message?.has(Attr.MessageIntegrity)).toBe(false);
    expect(lab.events("auth-failed").at(-1)).toMatchObject({ code: 401, reason });
    expect(lab.server.size).toBe(0);
  });

  it("with an altered byte is answered with 401", () => {
    const lab = new Lab();
    const client = lab.client();
    client.challenge();
    const bytes = client.session.request(Method.Allocate, [UDP_TRANSPORT, attribute(Attr.Lifetime, 600)]);
    bytes[35] = (bytes[35] ?? 0) ^ 1;
    expect(client.replyTo(bytes).outcome).toBe(401);
  });

  it("is tried against every candidate, and belongs to the key that fits", () => {
    const lab = new Lab({
      resolve: () => ({
        kind: "known",
        claims: { tenant: "acme", user: "alice", kid: "claimed" },
        candidates: [
          { password: "old", kid: "k1" },
          { password: "new", kid: "k2" },
        ],
      }),
    });
    expect(allocate(lab.client({ password: "new", port: 1 })).outcome).toBe("success");
    expect(allocate(lab.client({ password: "old", port: 2 })).outcome).toBe("success");
    expect(allocate(lab.client({ password: "older", port: 3 })).outcome).toBe(401);
    expect([...lab.server.list()].map(({ kid }) => kid)).toEqual(["k2", "k1"]);
  });

  it("is refused with 401 after the credential expired, and the allocation lives out its lifetime", () => {
    const lab = new Lab({
      resolve: () => known({ tenant: "acme", user: "alice" }, { expiresAt: START + 60_000 }),
    });
    const client = lab.client();
    expect(allocate(client).outcome).toBe("success");
    lab.advance(59_999);
    expect(refresh(client).outcome).toBe("success");
    lab.advance(1);
    expect(refresh(client).outcome).toBe(401);
    expect(lab.events("auth-failed").at(-1)).toMatchObject({ reason: "rejected", detail: "expired" });
    expect(lab.server.size).toBe(1);
    lab.advance(600_000);
    expect(lab.server.size).toBe(0);
  });

  it("from another address than the credential names is refused with 403", () => {
    const lab = new Lab({ resolve: () => known({ tenant: "acme", user: "alice", clientIp: "2600:0:0::1" }) });
    expect(allocate(lab.client()).outcome).toBe(403);
    expect(lab.events("auth-failed").at(-1)).toMatchObject({ code: 403, reason: "client-address", tenant: "acme" });
    expect(allocate(lab.client({ listener: UDP6 })).outcome).toBe("success");
  });

  it("belongs to its user name where the credential names no user", () => {
    const lab = new Lab({ resolve: () => known({ tenant: "acme", user: "" }) });
    allocate(lab.client({ user: "1767225700" }));
    expect([...lab.server.list()][0]?.user).toBe("1767225700");
  });
});

describe("an incomplete request", () => {
  const key = longTermKey({ username: "alice", realm: REALM, password: "secret", algorithm: "md5" }, nodeCrypto);
  const send = (attributesOf: (nonce: string) => readonly EncodedAttribute[]) => {
    const lab = new Lab();
    const client = lab.client();
    const nonce = client.challenge().get(Attr.Nonce) ?? "";
    const bytes = encodeMessage({
      method: Method.Allocate,
      class: MessageClass.Request,
      transactionId: client.session.transactionId(),
      attributes: [UDP_TRANSPORT, ...attributesOf(nonce)],
      integrity: { key, algorithm: "sha1", crypto: nodeCrypto },
    });
    return client.replyTo(bytes);
  };
  const username = attribute(Attr.Username, "alice");
  const realm = attribute(Attr.Realm, REALM);

  it.each<[string, (nonce: string) => readonly EncodedAttribute[]]>([
    ["USERNAME", (nonce) => [realm, attribute(Attr.Nonce, nonce)]],
    ["REALM", (nonce) => [username, attribute(Attr.Nonce, nonce)]],
    ["NONCE", () => [username, realm]],
    [
      "a USERNAME that is UTF-8",
      (nonce) => [rawAttribute(6, Uint8Array.of(0xff)), realm, attribute(Attr.Nonce, nonce)],
    ],
  ])("without %s is answered with 400 and without a challenge", (_, attributesOf) => {
    const reply = send(attributesOf);
    expect(reply.outcome).toBe(400);
    expect(reply.message?.has(Attr.Nonce)).toBe(false);
  });

  it("with USERNAME and USERHASH is answered with 400", () => {
    const hash = attribute(Attr.UserHash, userHash("alice", REALM, nodeCrypto));
    expect(send((nonce) => [username, hash, realm, attribute(Attr.Nonce, nonce)]).outcome).toBe(400);
  });

  it("with a shortened MESSAGE-INTEGRITY-SHA256, correct as far as it goes, is answered with 401", () => {
    const client = new Lab().client({ dialect: "rfc8489" });
    client.challenge();
    const signWith = (length: number) => {
      const unsigned = client.session.request(Method.Allocate, [UDP_TRANSPORT]).slice(0, -36);
      new DataView(unsigned.buffer).setUint16(2, unsigned.length - 20 + 4 + length);
      const strong = longTermKey(
        { username: "alice", realm: REALM, password: "secret", algorithm: "sha256" },
        nodeCrypto,
      );
      const hmac = nodeCrypto.hmacSha256(strong, unsigned).subarray(0, length);
      return Uint8Array.of(...unsigned, 0, 0x1c, 0, length, ...hmac);
    };
    expect(client.replyTo(signWith(16)).outcome).toBe(401);
    expect(client.replyTo(signWith(32)).outcome).toBe("success");
  });
});

describe("USERHASH (RFC 8489 section 9.2)", () => {
  const hashOfAlice = userHash("alice", REALM, nodeCrypto);
  const lab = () =>
    new Lab({
      authenticator: {
        supportsUserHash: true,
        resolve: (query) => {
          const isAlice = query.userHash?.every((byte, index) => byte === hashOfAlice[index]) ?? false;
          if (!isAlice) return { kind: "rejected", reason: "unknown" };
          return {
            kind: "known",
            username: "alice",
            claims: { tenant: "acme", user: "alice" },
            candidates: [{ password: "secret" }],
          };
        },
      },
    });

  it("is announced and understood where the authenticator can find users by it", () => {
    const client = lab().client({ anonymous: true, dialect: "rfc8489" });
    expect(client.challenge().get(Attr.Nonce)).toMatch(/^obMatJos2wAAA/);
    expect(allocate(client).outcome).toBe("success");
  });

  it("of nobody is answered with 401", () => {
    expect(allocate(lab().client({ anonymous: true, user: "mallory" })).outcome).toBe(401);
  });

  it("is answered with 401 where the authenticator cannot find users by it", () => {
    expect(allocate(new Lab().client({ anonymous: true })).outcome).toBe(401);
  });
});
