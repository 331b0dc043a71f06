import { Attr, attribute, Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { ALLOCATED, allocated, connect, errorReply, ScriptedServer, signature } from "./support.ts";

test("every option of allocate becomes its attribute", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const reservationToken = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const allocation = client.allocate({
    lifetime: 1200,
    family: 6,
    additionalFamily: 6,
    evenPort: { reserveNext: true },
    reservationToken,
    dontFragment: true,
    transport: 6,
    attributes: [attribute(Attr.MobilityTicket, new Uint8Array(0))],
  });
  const request = await server.challenge();
  const { message } = request;
  expect(message.method).toBe(Method.Allocate);
  expect(message.get(Attr.RequestedTransport)).toBe(6);
  expect(message.get(Attr.Lifetime)).toBe(1200);
  expect(message.get(Attr.RequestedAddressFamily)).toBe(6);
  expect(message.get(Attr.AdditionalAddressFamily)).toBe(6);
  expect(message.get(Attr.EvenPort)).toEqual({ reserveNext: true });
  expect(Uint8Array.from(message.get(Attr.ReservationToken) ?? [])).toEqual(reservationToken);
  expect(message.has(Attr.DontFragment)).toBe(true);
  expect(message.has(Attr.MobilityTicket)).toBe(true);
  request.reply({ attributes: ALLOCATED, integrity: signature() });
  await allocation;
});

test("without options only REQUESTED-TRANSPORT is sent, and it is UDP", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const allocation = client.allocate();
  const request = await server.next();
  expect(request.message.types).toEqual([Attr.RequestedTransport.type]);
  expect(request.message.get(Attr.RequestedTransport)).toBe(17);
  request.reply({ attributes: ALLOCATED });
  await allocation;
});

test("two relayed addresses are told apart by family", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const allocation = client.allocate({ additionalFamily: 6 });
  const attributes = [
    attribute(Attr.XorRelayedAddress, { ip: "2001:db8::1", port: 50_001 }),
    ...ALLOCATED,
    attribute(Attr.ReservationToken, Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1)),
  ];
  (await server.next()).reply({ attributes });
  expect(await allocation).toEqual({
    relayed: { ip: "192.0.2.15", port: 50_000 },
    additionalRelayed: { ip: "2001:db8::1", port: 50_001 },
    mapped: { ip: "192.0.2.1", port: 7000 },
    lifetime: 600,
    reservationToken: Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1),
  });
});

test("ADDRESS-ERROR-CODE says why the additional address is missing", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const allocation = client.allocate({ additionalFamily: 6 });
  const addressError = { family: 6, code: 440, reason: "no IPv6" } as const;
  (await server.next()).reply({ attributes: [...ALLOCATED, attribute(Attr.AddressErrorCode, addressError)] });
  expect(await allocation).toMatchObject({ addressError, relayed: { ip: "192.0.2.15" } });
});

test("a success response without a relayed address is a protocol error", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const failure = client.allocate().catch((error: unknown) => error);
  (await server.next()).reply({ attributes: ALLOCATED.slice(1) });
  expect(await failure).toMatchObject({ kind: "protocol", step: "Allocate" });
  expect(client.allocation).toBeUndefined();
});

test("an error response is a TurnError with code, reason, step and the response", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const failure = client.allocate().catch((error: unknown) => error);
  (await server.next()).reply(errorReply(420, [attribute(Attr.UnknownAttributes, [0x1234])]));
  const error = await failure;
  expect(error).toMatchObject({
    message: "Allocate: 420 reason 420",
    code: 420,
    reason: "reason 420",
    step: "Allocate",
  });
  expect(error).toHaveProperty("response");
});

test("refresh returns the granted lifetime, and zero ends the allocation", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  const refresh = client.refresh(900);
  const request = await server.next();
  expect(request.message.get(Attr.Lifetime)).toBe(900);
  request.reply({ attributes: [attribute(Attr.Lifetime, 700)], integrity: signature() });
  expect(await refresh).toBe(700);
  expect(client.allocation).toBeDefined();

  const end = client.refresh(0);
  (await server.next()).reply({ attributes: [attribute(Attr.Lifetime, 0)], integrity: signature() });
  expect(await end).toBe(0);
  expect(client.allocation).toBeUndefined();
});

test("createPermission names all peers in one request", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  const permission = client.createPermission(["192.0.2.7", "2001:db8::7"]);
  const request = await server.next();
  expect(request.message.getAll(Attr.XorPeerAddress).map(({ ip }) => ip)).toEqual(["192.0.2.7", "2001:db8::7"]);
  request.reply({ integrity: signature() });
  await permission;
});
