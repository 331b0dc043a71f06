import { once } from "node:events";
import net from "node:net";
import { ListenError } from "@culvert/dataplane";
import { formatAddress } from "@culvert/stun";
import { describe, expect, onTestFinished, test } from "vitest";
import { CERTIFICATES } from "./certificates.ts";
import { binding } from "./messages.ts";
import { type CreateHarness, LOOPBACK, tuple, World } from "./world.ts";

export function listeners(create: CreateHarness): void {
  async function refused(listening: Promise<unknown>): Promise<string> {
    const error: unknown = await listening.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ListenError);
    const message = error instanceof Error ? error.message : "";
    expect(message).not.toContain("\n");
    return message;
  }

  describe("a listener", () => {
    test.each([LOOPBACK[4], LOOPBACK[6]])("on port 0 of %s says which port it got", async (ip) => {
      const world = new World(create);
      const { certificate } = await CERTIFICATES;
      for (const transport of ["udp", "tcp", "tls"] as const) {
        const { local } = await world.listen({ transport, local: { ip, port: 0 }, certificate });
        expect(local.ip).toBe(ip);
        expect(local.port).toBeGreaterThan(0);
      }
    });

    test("is one of several, each with its own clients", async () => {
      const world = new World(create);
      const [first, second] = [await world.listen(), await world.listen({ local: { ip: LOOPBACK[6], port: 0 } })];
      const [four, six] = [await world.udp(), await world.udp(LOOPBACK[6])];
      await four.send(first.local, binding());
      expect((await world.event("client-input")).client).toEqual(tuple(first, four));
      await six.send(second.local, binding());
      expect((await world.event("client-input")).client).toEqual(tuple(second, six));
    });

    test("on a taken UDP port says so in one line with the address", async () => {
      const world = new World(create);
      const taken = await world.udp();
      const message = await refused(world.listen({ local: taken.address }));
      expect(message).toBe(`listen udp ${formatAddress(taken.address)}: the address is in use`);
    });

    test("on a taken TCP port says so in one line with the address", async () => {
      const world = new World(create);
      const server = net.createServer().listen(0, LOOPBACK[6]);
      await once(server, "listening");
      onTestFinished(() => void server.close());
      const address = server.address();
      const port = address !== null && typeof address === "object" ? address.port : 0;
      const message = await refused(world.listen({ transport: "tcp", local: { ip: LOOPBACK[6], port } }));
      expect(message).toBe(`listen tcp [::1]:${port}: the address is in use`);
    });

    test.each(["udp", "tcp"] as const)("over %s on an address of another host is refused", async (transport) => {
      const world = new World(create);
      const message = await refused(world.listen({ transport, local: { ip: "192.0.2.1", port: 3478 } }));
      expect(message).toBe(`listen ${transport} 192.0.2.1:3478: the address is not one of this host`);
    });

    test("on what is no IP address is refused", async () => {
      const world = new World(create);
      expect(await refused(world.listen({ local: { ip: "localhost", port: 3478 } }))).toContain("not an IP address");
    });

    test("with the id of an open one is refused", async () => {
      const world = new World(create);
      const { id } = await world.listen();
      expect(await refused(world.listen({ id }))).toContain(`listener ${id} is open already`);
    });

    test("that was refused can be tried again", async () => {
      const world = new World(create);
      const taken = await world.udp();
      await refused(world.listen({ id: 50, local: taken.address }));
      expect((await world.listen({ id: 50 })).id).toBe(50);
    });

    test("over TLS needs a certificate", async () => {
      const world = new World(create);
      expect(await refused(world.listen({ transport: "tls" }))).toContain("needs a certificate");
    });

    test("over TLS refuses a certificate that does not parse, or a key of another one", async () => {
      const world = new World(create);
      const { certificate, other } = await CERTIFICATES;
      const broken = { cert: "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----", key: certificate.key };
      expect(await refused(world.listen({ transport: "tls", certificate: broken }))).toContain("certificate: ");
      const mixed = { cert: certificate.cert, key: other.key };
      expect(await refused(world.listen({ transport: "tls", certificate: mixed }))).toContain("certificate: ");
    });

    test("is refused by a data plane that is closed", async () => {
      const world = new World(create);
      await world.plane.close();
      expect(await refused(world.listen())).toContain("closed");
    });

    test("gives its address back when the data plane closes, which may be said twice", async () => {
      const world = new World(create);
      const [udp, tcp] = [await world.listen(), await world.listen({ transport: "tcp" })];
      const client = await world.connect(tcp);
      await Promise.all([world.plane.close(), world.plane.close()]);
      await client.ended;
      const next = new World(create);
      expect((await next.listen({ local: udp.local })).local).toEqual(udp.local);
      expect((await next.listen({ transport: "tcp", local: tcp.local })).local).toEqual(tcp.local);
    });
  });
}
