import { createServer } from "node:net";
import { connectTurn } from "@culvert/turn-client";
import { afterEach, describe, expect, it } from "vitest";
import { writeCertificate } from "../src/certificate.ts";
import { loadStandaloneConfig } from "../src/config.ts";
import { standaloneDefaults } from "../src/defaults.ts";
import { createStandaloneService, type Platform } from "../src/platform.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** The platform as `culvert up` has it, on free ports. */
async function platformOnFreePorts(env: NodeJS.ProcessEnv = {}): Promise<Platform> {
  const certificate = await writeCertificate("127.0.0.1", new Date());
  open.push(() => certificate.remove());
  let secrets = 0;
  const defaults = standaloneDefaults({
    host: "127.0.0.1",
    loopback6: false,
    certificate: { cert: certificate.cert, key: certificate.key },
    secret: () => `secret-of-this-test-${secrets++}`,
  });
  const free = (transport: string) => `{transport: ${transport}, ip: 127.0.0.1, port: 0}`;
  const config = loadStandaloneConfig(defaults, {
    file: undefined,
    env: {
      CULVERT_RELAY_LISTENERS: `[${["udp", "tcp", "tls"].map(free).join()}]`,
      CULVERT_STUN_LISTENERS: `[${free("udp")}]`,
      CULVERT_CREDENTIAL_HTTP_PORT: "0",
      CULVERT_SIGNALING_LISTEN_PORT: "0",
      ...Object.fromEntries(
        ["RELAY", "STUN", "CREDENTIAL", "SIGNALING"].flatMap((section) => [
          [`CULVERT_${section}_OPS_PORT`, "0"],
          [`CULVERT_${section}_LOG_LEVEL`, "silent"],
        ]),
      ),
      ...env,
    },
  });
  const platform = createStandaloneService(config, { host: "127.0.0.1", pretty: false });
  open.push(() => platform.stop());
  return platform;
}

describe("the platform in one process", () => {
  it("issues credentials that its own relay accepts, on the ports that it took", async () => {
    const ready = await (await platformOnFreePorts()).start();
    const [stun, turn] = ready.iceServers;
    expect(stun?.urls).toEqual([`stun:127.0.0.1:${ready.turn.port}`]);
    const [uri] = turn?.urls ?? [];
    expect(uri).toBe(`turn:127.0.0.1:${ready.turn.port}?transport=udp`);

    const client = await connectTurn({ uri: uri ?? "", username: turn?.username, password: turn?.credential });
    open.push(() => client.close());
    const { relayed } = await client.allocate();
    expect(relayed.ip).toBe("127.0.0.1");
  });

  it("answers on the ops server of each service", async () => {
    const ready = await (await platformOnFreePorts()).start();
    expect(Object.keys(ready.opsUrls)).toEqual(["relay", "stun", "credential", "signaling"]);
    for (const url of Object.values(ready.opsUrls)) {
      expect((await fetch(`${url}/healthz/live`)).status).toBe(200);
      expect((await fetch(`${url}/healthz/ready`)).status).toBe(200);
      expect(await (await fetch(`${url}/metrics`)).text()).toContain("process_");
    }
  });

  it("stops the services that run when a later one cannot start", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    open.push(() => new Promise((resolve) => taken.close(() => resolve())));
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;

    const api = createServer();
    await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
    const apiAddress = api.address();
    const apiPort = typeof apiAddress === "object" && apiAddress !== null ? apiAddress.port : 0;
    await new Promise<void>((resolve) => api.close(() => resolve()));

    const platform = await platformOnFreePorts({
      CULVERT_CREDENTIAL_HTTP_PORT: String(apiPort),
      CULVERT_SIGNALING_LISTEN_PORT: String(port),
    });
    await expect(platform.start()).rejects.toThrow(String(port));
    await expect(fetch(`http://127.0.0.1:${apiPort}/openapi.json`)).rejects.toThrow();
  });

  it("wants a key and a token to show", async () => {
    const platform = await platformOnFreePorts({ CULVERT_CREDENTIAL_TENANTS: "[{id: default}]" });
    await expect(platform.start()).rejects.toThrow(/^credential\.tenants: must hold a tenant with a key and a token/);
  });
});
