import { ConfigError, loadConfig } from "@culvert/config";
import { stunConfigSchema } from "@culvert/stun-service";
import { expect, test } from "vitest";

const load = (overrides: Readonly<Record<string, unknown>>) =>
  loadConfig(stunConfigSchema, { section: "stun", env: {}, overrides });

const udp = { transport: "udp", ip: "127.0.0.1", port: 3478 };

test("by default UDP and TCP are served on 3478, without behaviour discovery", () => {
  const config = load({});
  expect(config.listeners.map(({ transport, port }) => `${transport} ${port}`)).toEqual(["udp 3478", "tcp 3478"]);
  expect(config.alternate).toBeUndefined();
  expect(load({ listeners: [udp], alternate: {} }).alternate).toEqual({ port: 3479, ips: [] });
});

test.each([
  [
    { listeners: [{ transport: "tls" }] },
    "stun.listeners[0].transport: tls: needs stun.tls.cert and stun.tls.key (CULVERT_STUN_LISTENERS)",
  ],
  [
    { alternate: {} },
    "stun.listeners[0].ip: 0.0.0.0: must be one address, or auto, since stun.alternate tells it to clients (CULVERT_STUN_LISTENERS)",
  ],
  [
    { listeners: [udp], partner: { token: "a token of two partners" } },
    "stun.partner: (secret): needs stun.alternate, since partners answer from two ports (CULVERT_STUN_PARTNER)",
  ],
  [
    { listeners: [udp], alternate: {}, partner: { token: "short" } },
    "stun.partner.token: (secret): must be text of 16 characters or more (CULVERT_STUN_PARTNER_TOKEN)",
  ],
  [
    { listeners: [udp], alternate: {}, partner: {} },
    "stun.partner.token: missing: must be text of 16 characters or more (CULVERT_STUN_PARTNER_TOKEN)",
  ],
  [
    { listeners: [{ ...udp, ip: "localhost" }] },
    "stun.listeners[0].ip: localhost: must be an IPv4 or IPv6 address, or auto (CULVERT_STUN_LISTENERS)",
  ],
])("%j is refused", (overrides, expected) => {
  expect(() => load(overrides)).toThrow(new ConfigError(expected));
});
