import type { Revocation } from "@culvert/credentials";
import { UnsecuredJWT } from "jose";
import { describe, expect, it } from "vitest";
import { acme, Client, metric, mint, rival, start, TestKeys, type TokenOptions } from "./support.ts";

const revoked = (user: string): Revocation => {
  const seconds = Math.floor(Date.now() / 1000);
  return { tenant: "acme", subject: { kind: "user", user }, revokedAt: seconds + 300, expiresAt: seconds + 600 };
};

describe("tokens", () => {
  it.each<[string, TokenOptions, string]>([
    ["an unknown key", { kid: "nobody" }, "auth_unknown-key"],
    ["another secret", { secret: Buffer.from("a guess") }, "auth_bad-token"],
    ["the signing secret itself", { secret: acme.secret }, "auth_bad-token"],
    ["another audience", { audience: "somewhere" }, "auth_bad-token"],
    ["an end in the past", { expiresIn: -10 }, "auth_expired"],
    ["another tenant's name", { tenant: "rival" }, "auth_other-tenant"],
    ["the key of another tenant", { key: rival, tenant: "acme" }, "auth_other-tenant"],
    ["a subject that cannot be a user", { user: "a\nb" }, "auth_bad-subject"],
    ["a subject that looks like a session", { user: `a/s_${"A".repeat(22)}` }, "auth_bad-subject"],
  ])("refuses one with %s", async (_name, options, reason) => {
    const { info } = await start();
    const client = new Client(info.url);
    await client.next("welcome");
    client.send("hello", { auth: await mint(options) });
    expect((await client.next("error")).data).toEqual({
      code: "unauthenticated",
      message: "the token is not accepted",
    });
    expect(await client.closed).toEqual({ code: 4401, reason: "unauthenticated" });
    expect(await metric(info, "culvert_signaling_refused_total", `reason="${reason}"`)).toBe(1);
  });

  it("refuses one without a signature, and one that is no token", async () => {
    const { info } = await start();
    const unsigned = new UnsecuredJWT({ tenant: "acme" })
      .setSubject("alice")
      .setAudience("culvert-signaling")
      .setExpirationTime("1h")
      .encode();
    for (const auth of [unsigned, "a.b.c", "x"]) {
      const client = new Client(info.url);
      await client.next("welcome");
      client.send("hello", { auth });
      expect(await client.closed).toEqual({ code: 4401, reason: "unauthenticated" });
    }
  });

  it("accepts those of a key that retires, until its end", async () => {
    const seconds = Math.floor(Date.now() / 1000);
    const retiring = { ...acme, state: "retiring", notAfter: seconds + 6 } as const;
    const { info } = await start({}, { keys: new TestKeys({ keys: [retiring], revocations: [] }) });
    const client = await Client.join(info.url);
    expect(await client.closed).toEqual({ code: 4401, reason: "auth_expired" });
    const late = new Client(info.url);
    await late.next("welcome");
    late.send("hello", { auth: await mint() });
    expect(await late.closed).toMatchObject({ code: 4401 });
  });

  it("ends live sessions when their key is removed, or their user revoked", async () => {
    const { info, keys } = await start();
    const alice = await Client.join(info.url, mint({ user: "alice" }));
    const bob = await Client.join(info.url, mint({ user: "bob" }));
    const eve = await Client.join(info.url, mint({ user: "eve", key: rival }));
    keys.change({ type: "revoked", revocation: revoked("alice") });
    expect(await alice.closed).toEqual({ code: 4401, reason: "auth_revoked" });
    expect(bob.socket.readyState).toBe(bob.socket.OPEN);
    const again = new Client(info.url);
    await again.next("welcome");
    again.send("hello", { auth: await mint({ user: "alice" }) });
    expect(await again.closed).toMatchObject({ reason: "unauthenticated" });
    keys.change({ type: "key-removed", tenant: "acme", kid: acme.kid });
    expect(await bob.closed).toEqual({ code: 4401, reason: "auth_revoked" });
    eve.send("ping", {});
    await eve.next("pong");
  });
});
