import { startNats } from "@culvert/testkit";
import { connectTurn, type TurnClient } from "@culvert/turn-client";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { CredentialService } from "../chaos/support/credential-service.ts";
import { type LoopbackFleet, startLoopbackFleet } from "../chaos/support/fleet.ts";
import { Stage } from "../chaos/support/stage.ts";
import { TcpProxy } from "../chaos/support/tcp-proxy.ts";
import { eventually } from "../support/eventually.ts";

// Two relay processes and a credential service, with Redis and NATS. What relays know of keys comes through a proxy.

/** How long a revocation may take until it has cut what lives, everywhere. */
const LIMIT_MS = 5_000;

const stage = new Stage();
let credential: CredentialService;
let fleet: LoopbackFleet;
let keys: TcpProxy;

beforeAll(async () => {
  const nats = await startNats();
  stage.atEnd(() => nats.dispose());
  credential = await CredentialService.start(stage, { nats: nats.server });
  const { target, token } = credential.feed;
  keys = await TcpProxy.open(stage, { host: "127.0.0.1", port: Number(target.split(":")[1]) });
  fleet = await startLoopbackFleet(stage, {
    relays: ["relay-0", "relay-1"],
    config: {
      credential: { target: `127.0.0.1:${keys.port}`, token },
      auth: { users: [] },
      dataPlane: { kind: "auto" },
    },
    fleet: { nats: { servers: [nats.server] } },
  });
});

afterEach(() => keys.set("pass"));

afterAll(() => stage.clear());

/** A call on each relay, of its own user. */
async function calls(user: string): Promise<readonly TurnClient[]> {
  const account = await credential.account(user);
  return Promise.all(
    fleet.uris.map(async (uri) => {
      const client = await connectTurn({ uri, ...account, timeoutMs: 30_000 });
      stage.atEnd(() => client.close({ release: false }));
      await client.allocate();
      return client;
    }),
  );
}

const sums = (name: string, labels: Readonly<Record<string, string>> = {}): Promise<readonly number[]> =>
  Promise.all(fleet.relays.map((relay) => relay.metric(name, labels)));

test.each([
  ["is cut, and the relays do not know", "cut", 1],
  ["is down", "refuse", 0],
  ["is there", "pass", 1],
] as const)(
  "a revocation ends what lives on every relay within 5 s while the stream of keys %s",
  async (_, mode, connected) => {
    const [revoked, other] = [await calls(`revoked while ${mode}`), await calls(`other while ${mode}`)];
    const before = await sums("culvert_relay_allocations_deleted_total", { reason: "revoked" });
    keys.set(mode);
    await eventually("the relays see it so", async () =>
      (await sums("culvert_relay_key_watch_connected")).every((value) => value === connected) ? true : undefined,
    );
    await credential.revoke(`revoked while ${mode}`);
    // The service cannot be asked until the stream passes again: what cuts them comes over NATS.
    await eventually(
      "the allocations of both relays are cut",
      async () => {
        const now = await sums("culvert_relay_allocations_deleted_total", { reason: "revoked" });
        expect(now).toEqual(before.map((count) => count + 1));
        return true;
      },
      LIMIT_MS,
    );
    for (const client of revoked) await expect(client.refresh()).rejects.toMatchObject({ code: 401 });
    for (const client of other) expect(await client.refresh()).toBeGreaterThan(0);
    keys.set("pass");
    await eventually("the relays have their keys from the service again", async () =>
      (await sums("culvert_relay_key_watch_connected")).every((value) => value === 1) ? true : undefined,
    );
    // What the service tells now is the same once more.
    for (const client of other) expect(await client.refresh()).toBeGreaterThan(0);
  },
);
