import { publishRevocationHint, withRevocationHints } from "@culvert/contracts";
import { firstSnapshot, type KeySink, type KeySource, type Revocation } from "@culvert/credentials";
import { MemoryBroker } from "@culvert/events";
import { expect, it } from "vitest";

const revocation: Revocation = {
  tenant: "acme.>",
  subject: { kind: "user", user: "alice" },
  revokedAt: 1_800_000_000,
  expiresAt: 1_800_086_400,
};

async function world() {
  const broker = new MemoryBroker();
  const [teller, listener] = [broker.connect(), broker.connect()];
  const sinks: KeySink[] = [];
  let closed = false;
  const close = (): void => {
    closed = true;
  };
  const source: KeySource = {
    watch(sink) {
      sinks.push(sink);
      const first = firstSnapshot();
      first.arrived();
      return { ready: first.ready, connected: () => true, close };
    },
  };
  const told: string[] = [];
  const watch = withRevocationHints(source, listener).watch({
    onSnapshot: ({ keys }, revision) => told.push(`snapshot of ${keys.length} at ${revision}`),
    onChange: (change, revision) => told.push(`${change.type} at ${revision}`),
  });
  await watch.ready;
  const [sink] = sinks;
  if (sink === undefined) throw new Error("not watched");
  return { teller, sink, told, watch, closed: () => closed };
}

it("passes on what the source tells, and revocations as they come over the bus", async () => {
  const { teller, sink, told } = await world();
  publishRevocationHint(teller, revocation);
  await teller.flush();
  expect(told).toEqual([]);
  sink.onSnapshot({ keys: [], revocations: [] }, 7n);
  sink.onChange({ type: "key-removed", tenant: "acme", kid: "k" }, 8n);
  publishRevocationHint(teller, revocation);
  await teller.flush();
  expect(told).toEqual(["snapshot of 0 at 7", "key-removed at 8", "revoked at 8"]);
});

it("drops hints that are none, and hears nothing once it is closed", async () => {
  const { teller, sink, told, watch, closed } = await world();
  sink.onSnapshot({ keys: [], revocations: [] }, 7n);
  for (const bytes of [[], [0xff], [0x08, 0x01], [0x2a, 0x00]]) {
    teller.publish("culvert.credential.revoked.x", Uint8Array.from(bytes));
  }
  await teller.flush();
  watch.close();
  publishRevocationHint(teller, revocation);
  await teller.flush();
  expect(told).toEqual(["snapshot of 0 at 7"]);
  expect(closed()).toBe(true);
});
