import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectTurn } from "@culvert/turn-client";
import selfsigned from "selfsigned";
import { expect, test } from "vitest";
import { at, bindingRequest, later, onEachDataPlane, udpClient } from "./harness.ts";

onEachDataPlane((startStun) => {
  async function certificate() {
    const directory = mkdtempSync(join(tmpdir(), "culvert-stun-"));
    later(() => rmSync(directory, { recursive: true }));
    const made = await selfsigned.generate([{ name: "commonName", value: "stun.test" }], {
      keyType: "ec",
      curve: "P-256",
      algorithm: "sha256",
    });
    const files = { cert: join(directory, "tls.crt"), key: join(directory, "tls.key") };
    writeFileSync(files.cert, made.cert);
    writeFileSync(files.key, made.private);
    return files;
  }

  test("a Binding request is answered over UDP, TCP and TLS", async () => {
    const stun = await startStun({
      tls: await certificate(),
      listeners: ["udp", "tcp", "tls"].map((transport) => ({ transport, ip: "127.0.0.1", port: 0 })),
    });
    for (const [index, uri] of ["turn:%?transport=udp", "turn:%?transport=tcp", "turns:%?transport=tcp"].entries()) {
      const { ip, port } = at(stun.info, index);
      const client = await connectTurn({
        uri: uri.replace("%", `${ip}:${port}`),
        tls: { rejectUnauthorized: false },
        timeoutMs: 15_000,
      });
      later(() => client.close());
      expect(await client.binding()).toEqual(client.local);
    }
    for (const transport of ["udp", "tcp", "tls"]) {
      expect(await stun.metric("culvert_stun_requests_total", { transport, code: "success" })).toBe(1);
    }
  });

  test("what is no STUN is dropped and counted, and the next request is answered", async () => {
    const stun = await startStun();
    const client = await udpClient();
    const server = at(stun.info, 0);
    const whole = bindingRequest();
    client.send(server, whole.subarray(0, 19));
    client.send(server, Buffer.from("hello"));
    const drops = async () =>
      (await stun.metric("culvert_stun_dropped_total")) + (await stun.metric("culvert_stun_data_plane_dropped_total"));
    await expect.poll(drops).toBe(2);
    expect((await client.ask(server)).from).toEqual(server);
  });

  test("health is told over HTTP", async () => {
    const stun = await startStun();
    const url = `http://${stun.info.ops?.host}:${stun.info.ops?.port}`;
    expect((await fetch(`${url}/healthz/live`)).status).toBe(200);
    expect(await (await fetch(`${url}/healthz/ready`)).json()).toEqual({ ready: true, checks: { listeners: "ok" } });
  });
});
