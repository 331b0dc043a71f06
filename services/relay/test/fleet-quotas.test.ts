import { expect, test } from "vitest";
import { settled, startFleet, startFleetRelay } from "./fleet-harness.ts";

const IPS = ["127.81.3.1", "127.81.3.2", "127.81.3.3"];

test("100 Allocates at once over three relays with a quota of 10: 10 succeed, 90 get 486", async () => {
  const fleet = startFleet();
  const relays = await Promise.all(
    IPS.map((ip, index) => startFleetRelay(fleet, { identity: `relay-${index}`, ip, relay: { quotas: { user: 10 } } })),
  );
  const clients = await Promise.all(
    Array.from({ length: 100 }, (_, index) => {
      const relay = relays[index % relays.length];
      if (relay === undefined) throw new Error("no relay");
      return relay.connect("udp");
    }),
  );
  const outcomes = await Promise.all(
    clients.map((client) =>
      client.allocate().then(
        () => "granted" as const,
        (error: { code?: number }) => error.code,
      ),
    ),
  );
  expect(outcomes.filter((outcome) => outcome === "granted")).toHaveLength(10);
  expect(outcomes.filter((outcome) => outcome === 486)).toHaveLength(90);

  const [lucky] = clients.filter((_, index) => outcomes[index] === "granted");
  const [unlucky] = clients.filter((_, index) => outcomes[index] === 486);
  if (lucky === undefined || unlucky === undefined) throw new Error("no client");
  await lucky.close();
  await expect
    .poll(() =>
      unlucky.allocate().then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
});

test("a relay that is full or drains sends clients to the least loaded one with room", async () => {
  const fleet = startFleet();
  const [a, b] = await Promise.all(
    IPS.slice(0, 2).map((ip, index) =>
      startFleetRelay(fleet, { identity: `relay-${index}`, ip, relay: { drain: { timeout: 60 } } }),
    ),
  );
  if (a === undefined || b === undefined) throw new Error("no relay");
  const held = await a.connect("udp");
  await held.allocate();
  // Both have told each other how much room there is.
  await settled(fleet);
  const stopped = a.service.stop();
  const late = await a.connect("udp");
  await late.allocate();
  expect([a.service.allocations(), b.service.allocations()]).toEqual([1, 1]);
  expect(await a.metric("culvert_relay_alternates_told_total")).toBe(1);
  expect(await held.refresh()).toBe(600);
  expect(a.service.ready().ready).toBe(true);
  await late.close();
  await held.close();
  await stopped;
});
