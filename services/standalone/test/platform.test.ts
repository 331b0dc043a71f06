import { createServer } from "node:net";
import { connectTurn } from "@culvert/turn-client";
import { describe, expect, it } from "vitest";
import { later, platformOnFreePorts } from "./harness.ts";

describe("the platform in one process", () => {
  it("issues credentials that its own relay accepts, on the ports that it took", async () => {
    const ready = await (await platformOnFreePorts()).start();
    const [stun, turn] = ready.iceServers;
    expect(stun?.urls).toEqual([`stun:127.0.0.1:${ready.turn.port}`]);
    const [uri] = turn?.urls ?? [];
    expect(uri).toBe(`turn:127.0.0.1:${ready.turn.port}?transport=udp`);

    const client = await connectTurn({ uri: uri ?? "", username: turn?.username, password: turn?.credential });
    later(() => client.close());
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
    later(() => new Promise((resolve) => taken.close(() => resolve())));
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
