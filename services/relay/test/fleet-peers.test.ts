import { expect, test } from "vitest";
import { startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, inbox } from "./harness.ts";

const [A, B] = ["127.81.8.1", "127.81.8.2"];

test("relayed addresses of another relay of the fleet are peers, at their relayed ports, without a rule", async () => {
  const fleet = startFleet();
  const closed = { peers: { dangerouslyAllow: [] } };
  const b = await startFleetRelay(fleet, { identity: "relay-b", ip: B, relay: closed });
  const a = await startFleetRelay(fleet, { identity: "relay-a", ip: A, relay: closed });
  const [alice, bob] = [await a.connect("udp"), await b.connect("udp")];
  const there = inbox(bob);
  const [one, two] = [await alice.allocate(), await bob.allocate()];
  await expect
    .poll(() =>
      alice.channelBind(two.relayed).then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  await expect
    .poll(() =>
      bob.createPermission([one.relayed.ip]).then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  alice.send(two.relayed, bytes("from relay to relay"));
  expect((await there.next()).text).toBe("from relay to relay");
  await expect(alice.createPermission(["127.81.8.3"])).rejects.toMatchObject({ code: 403 });
});
