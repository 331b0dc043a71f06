import { loadConfig } from "@culvert/config";
import { KeyServiceService, serverCredentials, toWatchKeysResponse } from "@culvert/contracts";
import { MemoryBroker } from "@culvert/events";
import { createSignalingService, type SignalingInfo, signalingConfigSchema } from "@culvert/signaling-service";
import { createLogger } from "@culvert/telemetry";
import { Server } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { acme, Client, later, metric, mint, start, TestKeys } from "./support.ts";

async function get(info: SignalingInfo, path: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${info.ops?.port}${path}`);
  return { status: response.status, body: await response.json() };
}

describe("operations", () => {
  it("is live, and ready once it has keys", async () => {
    const keys = new TestKeys(undefined);
    const bare = { watch: (sink: Parameters<TestKeys["watch"]>[0]) => keys.watch({ ...sink, onSnapshot: () => {} }) };
    const config = loadConfig(signalingConfigSchema, {
      section: "signaling",
      env: {},
      overrides: { listen: { port: 0 }, ops: { port: 0 } },
    });
    const waiting = createSignalingService(config, {
      keys: bare,
      logger: createLogger({ service: "signaling", level: "silent" }),
    });
    later(() => waiting.stop());
    const waitingInfo = await waiting.start();
    expect(await get(waitingInfo, "/healthz/live")).toMatchObject({ status: 200 });
    expect(await get(waitingInfo, "/healthz/ready")).toMatchObject({ status: 503 });
    const { info } = await start();
    expect(await get(info, "/healthz/ready")).toEqual({
      status: 200,
      body: { ready: true, checks: { listener: "ok", keys: "ok", bus: "ok", drain: "ok" } },
    });
  });

  it("lets the bus move readiness, never liveness, and serves its own peers meanwhile", async () => {
    const broker = new MemoryBroker();
    const bus = broker.connect();
    const { info } = await start({ cluster: { beaconInterval: 0.1, replicaTimeout: 0.5 } }, { bus });
    const other = await start({ cluster: { beaconInterval: 0.1, replicaTimeout: 0.5 } }, { bus: broker.connect() });
    const alice = await Client.join(info.url, mint({ user: "alice" }));
    bus.setConnected(false);
    expect(await get(info, "/healthz/ready")).toMatchObject({ status: 503, body: { checks: { bus: "disconnected" } } });
    expect(await get(info, "/healthz/live")).toMatchObject({ status: 200 });
    const bob = await Client.join(info.url, mint({ user: "bob" }));
    alice.send("ice.restart", {}, { to: "bob" });
    await bob.next("ice.restart");
    bus.setConnected(true);
    expect(await get(info, "/healthz/ready")).toMatchObject({ status: 200 });
    const carol = await Client.join(other.info.url, mint({ user: "carol" }));
    await expect
      .poll(async () => {
        carol.send("ice.restart", {}, { to: "alice" });
        carol.send("ping", {});
        await carol.next("pong", carol.of("pong").length + 1);
        return alice.of("ice.restart").length;
      })
      .toBeGreaterThan(0);
  });

  it("counts sessions, messages by type, resumes and refusals", async () => {
    const { info } = await start();
    const alice = await Client.join(info.url, mint({ user: "alice" }));
    const bob = await Client.join(info.url, mint({ user: "bob" }));
    alice.send("ice.restart", {}, { to: "bob" });
    alice.send("attempt.result", { step: "punch", ok: true, ms: 20 });
    alice.send("x", {});
    await bob.next("ice.restart");
    await alice.next("error");
    alice.socket.terminate();
    await (await alice.resume(info.url)).next("hello");
    const value = (name: string, ...labels: string[]) => metric(info, `culvert_signaling_${name}`, ...labels);
    expect(await value("sessions")).toBe(2);
    await expect.poll(() => value("connections")).toBe(2);
    expect(await value("replicas")).toBe(0);
    expect(await value("keys")).toBe(2);
    expect(await value("messages_total", 'direction="in"', 'type="ice.restart"')).toBe(1);
    expect(await value("messages_total", 'direction="out"', 'type="ice.restart"')).toBe(1);
    expect(await value("messages_total", 'direction="in"', 'type="invalid"')).toBe(1);
    expect(await value("refused_total", 'reason="unknown_type"')).toBe(1);
    expect(await value("resumes_total", 'outcome="replayed"')).toBe(1);
    expect(await value("session_changes_total", 'change="opened"')).toBe(2);
    expect(await value("attempts_total", 'outcome="ok"')).toBe(1);
    expect(await value("attempt_seconds_count")).toBe(1);
  });

  it("turns newcomers away while it drains, and stops at the end of the grace", async () => {
    const { info, service } = await start({ drain: { timeout: 0.5 } });
    const alice = await Client.join(info.url);
    const stopped = service.stop();
    const late = new Client(info.url);
    expect(await late.closed).toMatchObject({ code: 1006 });
    expect(await alice.closed).toEqual({ code: 1001, reason: "goaway" });
    await stopped;
    await expect(fetch(`http://127.0.0.1:${info.ops?.port}/healthz/live`)).rejects.toThrow();
  });

  it("takes its keys over gRPC", async () => {
    const grpc = new Server();
    grpc.addService(KeyServiceService, {
      watchKeys: (call: { write: (response: unknown) => void; metadata: { get: (key: string) => unknown[] } }) => {
        if (call.metadata.get("authorization")[0] !== "Bearer a shared token of 16+") return;
        call.write(toWatchKeysResponse({ revision: 1n, snapshot: { keys: [acme], revocations: [] } }));
      },
    });
    const port = await new Promise<number>((resolve, reject) =>
      grpc.bindAsync("127.0.0.1:0", serverCredentials(undefined), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    later(() => grpc.forceShutdown());
    const config = loadConfig(signalingConfigSchema, {
      section: "signaling",
      env: {
        CULVERT_SIGNALING_CREDENTIAL_TARGET: `127.0.0.1:${port}`,
        CULVERT_SIGNALING_CREDENTIAL_TOKEN: "a shared token of 16+",
        CULVERT_SIGNALING_LISTEN_PORT: "0",
        CULVERT_SIGNALING_OPS_ENABLED: "false",
        CULVERT_SIGNALING_DRAIN_TIMEOUT: "0",
      },
    });
    const service = createSignalingService(config, { logger: createLogger({ service: "signaling", level: "silent" }) });
    later(() => service.stop());
    const info = await service.start();
    await expect.poll(() => service.ready().ready).toBe(true);
    const client = await Client.join(info.url);
    expect(client.hello.address).toMatch(/^alice\/s_/);
  });
});

describe("configuration", () => {
  const load = (overrides: Record<string, unknown>) =>
    loadConfig(signalingConfigSchema, { section: "signaling", env: {}, overrides });

  it("has nowhere to get keys from by default, and says so in one line", () => {
    expect(() => createSignalingService(load({}))).toThrowError(
      "signaling.credential.target: missing: must be host:port of the credential service's gRPC listener (CULVERT_SIGNALING_CREDENTIAL_TARGET)",
    );
  });

  it.each([
    [{ session: { helloTimeout: 60 } }, /^signaling\.session\.helloTimeout: 60: /],
    [{ origins: ["https://app.example.org/"] }, /^signaling\.origins\[0\]: .*must be an origin such as/],
    [{ cluster: { beaconInterval: 10 } }, /^signaling\.cluster\.replicaTimeout: .*must be at least twice/],
    [{ limits: { messageBytes: 1_000_000 } }, /^signaling\.limits\.messageBytes: /],
    [{ orgins: [] }, /^signaling\.orgins: .*origins/],
  ])("refuses %j", (overrides, line) => {
    expect(() => load(overrides)).toThrowError(line);
  });
});
