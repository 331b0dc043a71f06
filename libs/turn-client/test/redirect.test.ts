import { Attr, attribute } from "@culvert/stun";
import { expect, test } from "vitest";
import { ALLOCATED, connect, errorReply, NONCE, REALM, ScriptedServer, signature } from "./support.ts";

const alternate = (port: number) => errorReply(300, [attribute(Attr.AlternateServer, { ip: "127.0.0.1", port })]);

for (const transport of ["udp", "tcp"] as const) {
  test(`a 300 over ${transport} is followed to the alternate server, which makes its own challenge`, async () => {
    const first = await ScriptedServer[transport]();
    const second = await ScriptedServer[transport]();
    const client = await connect(first);
    const allocation = client.allocate();
    (await first.challenge()).reply(alternate(second.port));

    const request = await second.next();
    expect(request.message.has(Attr.Username)).toBe(false);
    request.reply(errorReply(401, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, NONCE)]));
    (await second.next()).reply({ attributes: ALLOCATED, integrity: signature() });

    expect(await allocation).toMatchObject({ relayed: { ip: "192.0.2.15" } });
    expect(client.server).toEqual({ ip: "127.0.0.1", port: second.port });
  });
}

test("two servers that name each other end in the 300", async () => {
  const first = await ScriptedServer.udp();
  const second = await ScriptedServer.udp();
  const client = await connect(first);
  const failure = client.allocate().catch((error: unknown) => error);
  (await first.next()).reply(alternate(second.port));
  (await second.next()).reply(alternate(first.port));
  expect(await failure).toMatchObject({ code: 300, step: "Allocate" });
});

test("no more than maxRedirects are followed", async () => {
  const servers = [await ScriptedServer.udp(), await ScriptedServer.udp(), await ScriptedServer.udp()] as const;
  const client = await connect(servers[0], { maxRedirects: 1 });
  const failure = client.allocate().catch((error: unknown) => error);
  (await servers[0].next()).reply(alternate(servers[1].port));
  (await servers[1].next()).reply(alternate(servers[2].port));
  expect(await failure).toMatchObject({ code: 300 });
  expect(servers[2].untaken).toBe(0);
});
