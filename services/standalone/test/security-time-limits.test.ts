import { expect, it } from "vitest";
import { loadStandaloneConfig } from "../src/config.ts";
import { standaloneDefaults } from "../src/defaults.ts";

const config = loadStandaloneConfig(
  standaloneDefaults({
    host: "127.0.0.1",
    loopback6: true,
    certificate: { cert: "cert.pem", key: "key.pem" },
    secret: () => "a secret of this test",
  }),
  { env: {}, file: undefined },
);

// That the limits hold is tested where they are; here, that nobody has to set them.
it("by default slow clients of every service are closed within 15 s, and one source holds a part of the connections only", () => {
  const { relay, stun, credential, signaling } = config;
  for (const { streamFirstMessageMs, streamFrameMs } of [relay.dataPlane, stun.dataPlane]) {
    expect(Math.max(streamFirstMessageMs, streamFrameMs)).toBeLessThanOrEqual(15_000);
  }
  expect(credential.http.requestTimeout).toBeLessThanOrEqual(15);
  expect(signaling.session.helloTimeout).toBeLessThanOrEqual(15);
  for (const { maxStreams, maxStreamsPerSource } of [relay.dataPlane, stun.dataPlane]) {
    expect(maxStreamsPerSource).toBeLessThan(maxStreams / 10);
  }
  for (const { maxConnections, maxConnectionsPerSource } of [credential.http, signaling]) {
    expect(maxConnectionsPerSource).toBeLessThan(maxConnections / 10);
  }
});

it("by default no loopback and no private address is a peer, and no service port is one of the relayed ports", () => {
  const { relay, stun, credential, signaling } = config;
  expect(relay.peers).toMatchObject({ allow: [], dangerouslyAllow: [] });
  const ports = [
    ...[...relay.listeners, ...stun.listeners].map(({ port }) => port),
    credential.http.port,
    signaling.listen.port,
    ...[relay, stun, credential, signaling].map(({ ops }) => ops.port),
  ];
  for (const port of ports) expect(port < relay.ports.min || port > relay.ports.max).toBe(true);
});
