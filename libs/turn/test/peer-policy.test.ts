import { Attr, attribute, formatIp, Method, parseIp } from "@culvert/stun";
import { NEVER_PEERS, PRIVATE_PEERS, parseCidr, parsePeerPolicy } from "@culvert/turn";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { known, Lab, policy, RELAY_IP } from "./support/lab.ts";
import { allocate, channelBind, createPermission, sendAttributes } from "./support/requests.ts";

const DATA = Uint8Array.of(1);
const RANGES = [...NEVER_PEERS, ...PRIVATE_PEERS];

const both = (lab: Lab) => {
  const client = lab.client();
  allocate(client, [attribute(Attr.AdditionalAddressFamily, 6)]);
  lab.take();
  return client;
};

/** The first, a middle and the last address of a range. */
function samples(range: string): readonly string[] {
  const result = parseCidr(range);
  if (!result.ok) throw new Error(result.error);
  const { bytes, prefix } = result.cidr;
  const fill = (value: number): string =>
    formatIp(
      bytes.map((byte, index) => {
        const hostBits = Math.min(8, Math.max(0, index * 8 + 8 - prefix));
        return byte | (value & (2 ** hostBits - 1));
      }),
    );
  return [fill(0), fill(0x55), fill(0xff)];
}

/** Every way to write an IPv4 address as IPv6. */
function embeddings(ip: string): readonly string[] {
  const [a = 0, b = 0, c = 0, d = 0] = parseIp(ip) ?? [];
  const inner = [a, b, c, d];
  const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);
  return [
    [...zeros(10), 0xff, 0xff, ...inner],
    [...zeros(12), ...inner],
    [...zeros(8), 0xff, 0xff, 0, 0, ...inner],
    [0x20, 0x02, ...inner, ...zeros(10)],
    [0, 0x64, 0xff, 0x9b, ...zeros(8), ...inner],
    [0x20, 0x01, 0, 0, ...inner, ...zeros(8)],
    [0x20, 0x01, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0, ...inner.map((byte) => byte ^ 0xff)],
  ].map((bytes) => formatIp(Uint8Array.from(bytes)));
}

function expectForbidden(lab: Lab, client: ReturnType<typeof both>, ip: string): void {
  const peer = { ip, port: 80 };
  expect(createPermission(client, ip).outcome, `CreatePermission ${ip}`).toBe(403);
  expect(channelBind(client, 0x4000, peer).outcome, `ChannelBind ${ip}`).toBe(403);
  client.indicate(Method.Send, sendAttributes(peer, DATA));
  client.sendChannelData(0x4000, DATA);
  lab.server.handlePeerInput(1, peer, DATA, lab.now);
  lab.server.handlePeerInput(2, peer, DATA, lab.now);
  const outputs = lab.take();
  expect(outputs.filter(({ type }) => type === "upsert" || type === "send")).toEqual([]);
}

describe("the ranges", () => {
  // By name: a range that is lost from the code must not be lost from its tests as well.
  it("that are never peers are these", () => {
    expect([...NEVER_PEERS].sort()).toEqual(
      (
        "0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.51.100.0/24 " +
        "203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32 ::/128 ::1/128 ::/96 ::ffff:0:0/96 " +
        "::ffff:0:0:0/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 " +
        "fe80::/10 fec0::/10 ff00::/8"
      )
        .split(" ")
        .sort(),
    );
  });

  it("that are private are these", () => {
    expect([...PRIVATE_PEERS].sort()).toEqual(
      "10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.168.0.0/16 198.18.0.0/15 fc00::/7".split(" ").sort(),
    );
  });
});

describe("peers denied by default", () => {
  it.each(RANGES)("%s: 403, nothing sent", (range) => {
    const lab = new Lab();
    const client = both(lab);
    for (const ip of samples(range)) expectForbidden(lab, client, ip);
  });

  it.each(RANGES.filter((range) => !range.includes(":")))("%s inside IPv6: 403, nothing sent", (range) => {
    const lab = new Lab();
    const client = both(lab);
    for (const ip of samples(range).flatMap(embeddings)) expectForbidden(lab, client, ip);
  });

  it.each(RANGES.filter((range) => !range.includes(":")))("%s inside IPv6 is 443 without an IPv6 address", (range) => {
    const client = new Lab().client();
    allocate(client);
    for (const ip of samples(range).flatMap(embeddings)) {
      expect(createPermission(client, ip).outcome).toBe(443);
      expect(channelBind(client, 0x4000, { ip, port: 80 }).outcome).toBe(443);
    }
  });

  it.each([
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "223.255.255.255",
    "168.63.129.17",
    "2600::1",
    "2a00::1",
    "64:ff9b::9.9.9.9",
  ])("does not hold %s", (ip) => {
    const client = both(new Lab());
    expect(createPermission(client, ip).outcome).toBe("success");
  });

  it("tells which rule it was", () => {
    const lab = new Lab();
    createPermission(both(lab), "127.0.0.1");
    expect(lab.events("peer-denied")).toMatchObject([
      { method: Method.CreatePermission, ip: "127.0.0.1", rule: "never 127.0.0.0/8", tenant: "acme" },
    ]);
  });
});

describe("rules", () => {
  const allows = (config: Parameters<typeof policy>[0], ip: string): boolean =>
    policy(config).judge(parseIp(ip) ?? new Uint8Array(0)).allowed;

  it("allow opens private ranges, no others", () => {
    expect(allows({ allow: ["10.1.0.0/16"] }, "10.1.2.3")).toBe(true);
    expect(allows({ allow: ["10.1.0.0/16"] }, "10.2.0.1")).toBe(false);
    expect(allows({ allow: ["0.0.0.0/0"] }, "192.168.1.1")).toBe(true);
    expect(allows({ allow: ["0.0.0.0/0"] }, "127.0.0.1")).toBe(false);
    expect(allows({ allow: ["fc00::/7"] }, "fd00::1")).toBe(true);
    expect(allows({ allow: ["::/0"] }, "fe80::1")).toBe(false);
  });

  it("allow opens a private address behind NAT64, but not in forms that are never peers", () => {
    expect(allows({ allow: ["10.0.0.0/8"] }, "64:ff9b::10.0.0.1")).toBe(true);
    expect(allows({ allow: ["10.0.0.0/8"] }, "::ffff:10.0.0.1")).toBe(false);
  });

  it("dangerouslyAllow opens what is never a peer", () => {
    expect(allows({ dangerouslyAllow: ["127.0.0.0/8"] }, "127.0.0.1")).toBe(true);
    expect(allows({ dangerouslyAllow: ["127.0.0.0/8"] }, "169.254.169.254")).toBe(false);
    expect(allows({ dangerouslyAllow: ["::1"] }, "::1")).toBe(true);
    expect(allows({ dangerouslyAllow: ["::/96"] }, "::127.0.0.1")).toBe(false);
  });

  it("dangerouslyAllow of a mapped range does not open the IPv4 addresses inside", () => {
    expect(allows({ dangerouslyAllow: ["::ffff:0:0/96"] }, "::ffff:127.0.0.1")).toBe(false);
    expect(allows({ dangerouslyAllow: ["::ffff:0:0/96"] }, "::ffff:9.9.9.9")).toBe(true);
  });

  it("dangerouslyAllow of a tunnel's range does not open the IPv4 addresses at its ends", () => {
    const config = { dangerouslyAllow: ["2001::/32", "2002::/16"] };
    // Teredo: the server, and the client in complement.
    expect(allows(config, "2001:0:909:909::f6f6:f6f6")).toBe(true);
    expect(allows(config, "2001:0:a00:1::f6f6:f6f6")).toBe(false);
    expect(allows(config, "2001:0:909:909::f5ff:fffe")).toBe(false);
    expect(allows(config, "2002:909:909::1")).toBe(true);
    expect(allows(config, "2002:7f00:1::1")).toBe(false);
  });

  it("deny and backends win over both, embedded or not", () => {
    for (const key of ["deny", "backends"]) {
      const config = { allow: ["10.0.0.0/8"], dangerouslyAllow: ["10.0.0.0/8"], [key]: ["10.96.0.0/12", "9.9.9.9"] };
      expect(allows(config, "10.0.0.1")).toBe(true);
      expect(allows(config, "10.100.0.1")).toBe(false);
      expect(allows(config, "9.9.9.9")).toBe(false);
      expect(allows(config, "64:ff9b::9.9.9.9")).toBe(false);
    }
  });

  it("deny of :: denies no public IPv4 address", () => {
    const denying = policy({ deny: ["::"] });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (ip) => {
        expect(denying.judge(ip)).toEqual(policy().judge(ip));
      }),
      { numRuns: 300 },
    );
  });

  it("that do not parse are one line with key, value and what would be right", () => {
    expect(parsePeerPolicy({ deny: ["10.0.0.0/8", "10.0.0.0/33"] })).toEqual({
      ok: false,
      error: "deny[1]: 10.0.0.0/33: prefix length must be 0 to 32",
    });
    expect(parsePeerPolicy({ fleet: [{ range: "relay-7" }] })).toEqual({
      ok: false,
      error: "fleet[0].range[0]: relay-7: must be an IP address or a range such as 10.0.0.0/8",
    });
    expect(parsePeerPolicy({ allow: ["127.0.0.1"] })).toEqual({
      ok: false,
      error: "allow[0]: 127.0.0.1/32: is never a peer; dangerouslyAllow would open it",
    });
  });
});

describe("the credential's peer ranges", () => {
  it("restrict further and open nothing", () => {
    const lab = new Lab({
      resolve: () => known({ tenant: "acme", user: "alice", peerCidrs: ["9.9.0.0/16", "10.0.0.0/8"] }),
    });
    const client = both(lab);
    expect(createPermission(client, "9.9.1.1").outcome).toBe("success");
    expect(createPermission(client, "9.8.1.1").outcome).toBe(403);
    expect(createPermission(client, "10.0.0.1").outcome).toBe(403);
    expect(createPermission(client, RELAY_IP).outcome).toBe(403);
    expect(createPermission(client, "2600::1").outcome).toBe(403);
    expect(lab.events("peer-denied")[0]?.rule).toBe("credential");
  });

  it("that do not parse, or are none, allow nothing", () => {
    for (const peerCidrs of [[], ["everything"]]) {
      const lab = new Lab({ resolve: () => known({ tenant: "acme", user: "alice", peerCidrs }) });
      expect(createPermission(both(lab), "9.9.9.9").outcome).toBe(403);
    }
  });
});
