import { describe, expect, it } from "vitest";
import { translateCoturn } from "../../src/coturn/translate.ts";

/** The keys that a file sets. */
function keys(...lines: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    translateCoturn(lines.join("\n")).entries.map(({ path, value }) => [path.join("."), value]),
  );
}

/** What became of each line. */
function fates(...lines: readonly string[]): readonly string[] {
  return translateCoturn(lines.join("\n")).findings.map(({ fate }) => fate);
}

describe("listeners", () => {
  it("are those of the default when nothing is said", () => {
    expect(keys("fingerprint")).toEqual({});
  });

  it("are each address with each transport, at the ports", () => {
    expect(keys("listening-ip=192.0.2.1", "listening-ip=2001:db8::1", "listening-port=443", "no-tcp")).toEqual({
      "relay.listeners": [
        { transport: "udp", ip: "192.0.2.1", port: 443 },
        { transport: "udp", ip: "2001:db8::1", port: 443 },
      ],
    });
  });

  it("serve TLS where there is a certificate, at its own port", () => {
    expect(keys("cert=/etc/c.pem", "pkey=/etc/k.pem", "tls-listening-port=443", "no-udp", "no-tcp")).toEqual({
      "relay.listeners": [{ transport: "tls", ip: "0.0.0.0", port: 443 }],
      "relay.tls.cert": "/etc/c.pem",
      "relay.tls.key": "/etc/k.pem",
    });
  });

  it("serve no TLS without one, or when it is off", () => {
    expect(keys("cert=/etc/c.pem", "tls-listening-port=443")).toEqual({});
    expect(keys("cert=/etc/c.pem", "pkey=/etc/k.pem", "no-tls")).toEqual({});
    expect(fates("cert=/etc/c.pem", "pkey=/etc/k.pem", "no-tls")).toEqual(["unneeded", "unneeded", "unneeded"]);
  });

  it("take auxiliary servers in", () => {
    expect(keys("aux-server=192.0.2.9:33478", "aux-server=[2001:db8::9]:33478", "no-udp")["relay.listeners"]).toEqual([
      { transport: "tcp", ip: "0.0.0.0", port: 3478 },
      { transport: "tcp", ip: "192.0.2.9", port: 33_478 },
      { transport: "tcp", ip: "2001:db8::9", port: 33_478 },
    ]);
  });

  it("are refused when none is left", () => {
    expect(fates("no-udp", "no-tcp")).toEqual(["bad", "bad"]);
  });

  it("of STUN alone find behaviour out with two addresses", () => {
    const file = [
      "stun-only",
      "listening-ip=192.0.2.1",
      "listening-ip=192.0.2.2",
      "alt-listening-port=3480",
      "realm=a",
    ];
    expect(keys(...file)).toEqual({
      "stun.listeners": [
        { transport: "udp", ip: "192.0.2.1", port: 3478 },
        { transport: "tcp", ip: "192.0.2.1", port: 3478 },
        { transport: "tcp", ip: "192.0.2.2", port: 3478 },
      ],
      "stun.alternate.port": 3480,
      "stun.alternate.ips": ["192.0.2.2"],
    });
    expect(fates(...file)).toEqual(["taken", "taken", "taken", "taken", "unneeded"]);
    expect(keys(...file, "no-rfc5780")).not.toHaveProperty(["stun.alternate.port"]);
  });

  it("of STUN alone are known by their public addresses", () => {
    const file = ["stun-only", "listening-ip=10.0.0.1", "listening-ip=10.0.0.2"];
    expect(keys(...file, "external-ip=192.0.2.1/10.0.0.1", "external-ip=192.0.2.2/10.0.0.2", "no-tcp")).toEqual({
      "stun.listeners": [{ transport: "udp", ip: "10.0.0.1", port: 3478, external: "192.0.2.1" }],
      "stun.alternate.port": 3479,
      "stun.alternate.ips": ["192.0.2.2/10.0.0.2"],
    });
  });
});

describe("relayed addresses", () => {
  it.each([
    [["relay-ip=192.0.2.5"], ["192.0.2.5"]],
    [["external-ip=192.0.2.5"], ["192.0.2.5/auto"]],
    [["external-ip=192.0.2.5", "listening-ip=10.0.0.5"], ["192.0.2.5/10.0.0.5"]],
    [
      ["external-ip=192.0.2.5/10.0.0.5", "external-ip=192.0.2.6/10.0.0.6"],
      ["192.0.2.5/10.0.0.5", "192.0.2.6/10.0.0.6"],
    ],
    [["relay-ip=10.0.0.6", "external-ip=192.0.2.5/10.0.0.5", "external-ip=192.0.2.6/10.0.0.6"], ["192.0.2.6/10.0.0.6"]],
    [
      ["relay-ip=10.0.0.6", "relay-ip=2001:db8::6", "external-ip=192.0.2.6"],
      ["192.0.2.6/10.0.0.6", "2001:db8::6"],
    ],
    [["listening-ip=192.0.2.1", "external-ip=192.0.2.1"], ["192.0.2.1"]],
  ])("%j: %j", (lines, addresses) => {
    expect(keys(...lines)["relay.addresses"]).toEqual(addresses);
  });

  it("have no public address twice without a private one", () => {
    expect(fates("external-ip=192.0.2.5", "external-ip=192.0.2.6", "external-ip=x")).toEqual(["taken", "bad", "bad"]);
  });
});

describe("who may", () => {
  it("users with passwords", () => {
    expect(keys("lt-cred-mech", "user=alice:a:b", "user=bob:x", "user=alice:c", "realm=example.org")).toEqual({
      "relay.realm": "example.org",
      "relay.auth.users": [
        { username: "alice", password: "c" },
        { username: "bob", password: "x" },
      ],
    });
  });

  it("no users with keys, which is said", () => {
    expect(fates("user=alice:0xbc807ee29df3c9ffa736523fb2c4e8ee", "user=:x", "user=bob")).toEqual([
      "none",
      "bad",
      "bad",
    ]);
  });

  it("secrets, all of them, and then no users", () => {
    const file = ["use-auth-secret", "static-auth-secret=north", "static-auth-secret=south", "user=alice:a"];
    expect(keys(...file)).toEqual({ "relay.auth.secrets": ["north", "south"] });
    expect(fates(...file)).toEqual(["taken", "taken", "taken", "unneeded"]);
  });

  it("secrets of a database, which is said", () => {
    expect(fates("use-auth-secret")).toEqual(["none"]);
  });

  it("nobody without credentials, which is said unless it is off", () => {
    expect(fates("no-auth")).toEqual(["none"]);
    expect(fates("no-auth=off")).toEqual(["unneeded"]);
  });
});

describe("peers", () => {
  it("that are denied are so as ranges", () => {
    expect(keys("denied-peer-ip=10.0.0.0-10.255.255.255", "denied-peer-ip=192.168.0.1")).toEqual({
      "relay.peers.deny": ["10.0.0.0/8", "192.168.0.1/32"],
    });
  });

  it("that are allowed are left out of what is denied, and open private ranges", () => {
    const file = ["denied-peer-ip=10.0.0.0-10.0.0.255", "allowed-peer-ip=10.0.0.128-10.0.0.255"];
    expect(keys(...file)).toEqual({ "relay.peers.deny": ["10.0.0.0/25"], "relay.peers.allow": ["10.0.0.128/25"] });
    expect(fates(...file)).toEqual(["taken", "taken"]);
  });

  it("with public addresses that are allowed are as they are by default", () => {
    expect(keys("allowed-peer-ip=83.166.68.45")).toEqual({});
    expect(fates("allowed-peer-ip=83.166.68.45")).toEqual(["unneeded"]);
  });

  it("on the loopback are opened by name only", () => {
    expect(keys("allow-loopback-peers", "allowed-peer-ip=169.254.1.1")).toEqual({
      "relay.peers.dangerouslyAllow": ["127.0.0.0/8", "169.254.1.1/32", "::1/128"],
    });
  });

  it("that are no addresses are named", () => {
    expect(fates("denied-peer-ip=10.0.0.9-10.0.0.1", "allowed-peer-ip=example.org")).toEqual(["bad", "bad"]);
  });
});

describe("limits", () => {
  it("are taken over, and 0 is none", () => {
    expect(keys("user-quota=12", "total-quota=1200", "max-bps=64000")).toEqual({
      "relay.quotas.user": 12,
      "relay.quotas.total": 1200,
      "relay.limits.maxBps": 64_000,
    });
    expect(fates("user-quota=0", "total-quota=0", "max-bps=0", "bps-capacity=0")).toEqual(Array(4).fill("unneeded"));
  });

  it.each([
    ["stale-nonce", 600],
    ["stale-nonce=0", 86_400],
    ["stale-nonce=10", 30],
    ["stale-nonce=1000000", 86_400],
  ])("%s: nonces live %i seconds", (line, lifetime) => {
    expect(keys(line)).toEqual({ "relay.auth.nonceLifetime": lifetime });
  });

  it("of lifetimes keep the default below them", () => {
    expect(keys("max-allocate-lifetime=300")).toEqual({ "relay.lifetime.max": 300, "relay.lifetime.default": 300 });
    expect(keys("max-allocate-lifetime=7200")).toEqual({ "relay.lifetime.max": 7200 });
  });

  it("that the RFC fixes are not needed at its value, and else said", () => {
    expect(fates("channel-lifetime=600", "permission-lifetime=300")).toEqual(["unneeded", "unneeded"]);
    expect(fates("channel-lifetime=60", "permission-lifetime=30")).toEqual(["none", "none"]);
  });

  it("and ports, threads, mobility, logs, metrics", () => {
    expect(
      keys(
        "min-port=50000",
        "max-port=50100",
        "relay-threads=0",
        "mobility",
        "verbose",
        "prometheus",
        "prometheus-port=9641",
      ),
    ).toEqual({
      "relay.ports.min": 50_000,
      "relay.ports.max": 50_100,
      "relay.dataPlane.workers": 1,
      "relay.mobility": "allowed",
      "relay.logLevel": "debug",
      "relay.ops.host": "0.0.0.0",
      "relay.ops.port": 9641,
    });
  });
});

describe("lines", () => {
  it("that are not coturn's are named", () => {
    const { findings } = translateCoturn("realm=a\nrelm=b\n\nexternal_ip=1.2.3.4");
    expect(findings.map(({ line, fate }) => [line.number, fate])).toEqual([
      [1, "taken"],
      [2, "bad"],
      [4, "bad"],
    ]);
  });

  it("that are set again count no more", () => {
    expect(keys("realm=a", "realm=b")).toEqual({ "relay.realm": "b" });
    expect(fates("realm=a", "realm=b")).toEqual(["unneeded", "taken"]);
  });

  it("with values that cannot be are named", () => {
    expect(
      fates(
        "min-port=0",
        "max-port=65536",
        "no-udp=maybe",
        "user-quota=a",
        "realm",
        "listening-ip=x",
        "aux-server=1.2.3.4",
      ),
    ).toEqual(Array(7).fill("bad"));
  });
});
