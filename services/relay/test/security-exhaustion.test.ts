import { Attr, attribute, Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { startRelay } from "./harness.ts";
import { channelAttributes, peerAttribute, UDP_TRANSPORT } from "./requests.ts";
import { relayedOf, Wire } from "./wire.ts";

const at = (last: number, port = 5000) => ({ ip: `127.0.0.${last}`, port });

test("permissions beyond the cap are answered with 508, those there are go on", async () => {
  const relay = await startRelay({ limits: { permissions: 3 } });
  const wire = await Wire.open(relay);
  await wire.request(Method.Allocate, [UDP_TRANSPORT]);
  const permit = async (...last: number[]) =>
    (
      await wire.request(
        Method.CreatePermission,
        last.map((one) => peerAttribute(at(one))),
      )
    ).outcome;
  expect(await permit(1, 2, 3)).toBe("success");
  expect(await permit(4)).toBe(508);
  expect((await wire.request(Method.ChannelBind, channelAttributes(0x4000, at(5)))).outcome).toBe(508);
  expect(await permit(1, 2, 3)).toBe("success");
});

test("new peers faster than allowed are answered with 508: a scan is slow", async () => {
  const relay = await startRelay({ limits: { newPeersPerSecond: 0.001, newPeersBurst: 5 } });
  const wire = await Wire.open(relay);
  await wire.request(Method.Allocate, [UDP_TRANSPORT]);
  const outcomes: unknown[] = [];
  for (let last = 1; last <= 8; last++) {
    outcomes.push((await wire.request(Method.CreatePermission, [peerAttribute(at(last))])).outcome);
  }
  expect(outcomes).toEqual([...Array(5).fill("success"), 508, 508, 508]);
});

test("channel numbers that are none, and bindings that would change, are answered with 400", async () => {
  const relay = await startRelay({ limits: { channels: 2 } });
  const wire = await Wire.open(relay, { dialect: "rfc8489" });
  await wire.request(Method.Allocate, [UDP_TRANSPORT]);
  const bind = async (channel: number, peer = at(1)) =>
    (await wire.request(Method.ChannelBind, channelAttributes(channel, peer))).outcome;
  for (const number of [0, 0x3fff, 0x5000, 0x7fff, 0xffff]) expect(await bind(number)).toBe(400);
  expect(await bind(0x4000)).toBe("success");
  expect(await bind(0x4000, at(1, 5001))).toBe(400);
  expect(await bind(0x4001)).toBe(400);
  expect(await bind(0x4fff, at(2))).toBe("success");
  expect(await bind(0x4002, at(3))).toBe(508);
  expect(await bind(0x4000)).toBe("success");
});

test("what is reserved with EVEN-PORT counts on the user's quota and comes back", async () => {
  const relay = await startRelay({ quotas: { user: 2 } });
  const even = [UDP_TRANSPORT, attribute(Attr.EvenPort, { reserveNext: true })];
  for (let round = 0; round < 20; round++) {
    const [first, second] = [await Wire.open(relay), await Wire.open(relay)];
    const answer = await first.request(Method.Allocate, even);
    expect((await second.request(Method.Allocate, [UDP_TRANSPORT])).outcome).toBe(486);
    const token = answer.message?.get(Attr.ReservationToken);
    if (token === undefined) throw new Error("no token");
    const claimed = await second.request(Method.Allocate, [UDP_TRANSPORT, attribute(Attr.ReservationToken, token)]);
    expect(relayedOf(claimed).port).toBe(relayedOf(answer).port + 1);
    for (const wire of [first, second]) await wire.request(Method.Refresh, [attribute(Attr.Lifetime, 0)]);
  }
  expect(await relay.metric("culvert_relay_relay_sockets")).toBe(0);
});
