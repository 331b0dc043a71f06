import { Attr, attribute, encodeChannelData, Method } from "@culvert/stun";
import type { Output, TurnServerConfig } from "@culvert/turn";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Lab, type LabClient, RELAY_IP, RELAY_IP6, TCP, UDP } from "./support/lab.ts";
import { allocate, channelBind, createPermission, ENC, refresh, sendAttributes } from "./support/requests.ts";
import { tableOf } from "./support/table.ts";

const PEERS = [
  { ip: "9.9.9.9", port: 5000 },
  { ip: "9.9.9.10", port: 5000 },
  { ip: "2600::9", port: 5000 },
  { ip: "127.0.0.1", port: 5000 },
];
const PORTS = { min: 50_000, max: 50_005 };
const CONFIG: Partial<TurnServerConfig> = {
  relays: [{ ip: RELAY_IP }, { ip: RELAY_IP6 }],
  slots: true,
  changes: true,
  mobility: "allowed",
  ticketKeys: [new Uint8Array(32).fill(3)],
  limits: { allocationsPerUser: 3, permissionsPerAllocation: 3, channelsPerAllocation: 2 },
};
const SLOTS = [RELAY_IP, RELAY_IP6].map((ip, index) => ({ slot: `${ip}/0`, lease: index + 1, ip, ports: PORTS }));
const TUPLES = [
  { listener: UDP, ip: "8.8.1.1", port: 1000 },
  { listener: UDP, ip: "8.8.1.1", port: 1001 },
  { listener: TCP, ip: "8.8.1.2", port: 1000 },
  { listener: UDP, ip: "8.8.1.3", port: 1000 },
];

type Step =
  | { readonly kind: "allocate"; readonly both: boolean; readonly mobile: boolean; readonly lifetime: number }
  | { readonly kind: "refresh"; readonly lifetime: number | undefined }
  | { readonly kind: "permit" | "send" | "receive"; readonly peer: number }
  | { readonly kind: "bind"; readonly peer: number; readonly channel: number }
  | { readonly kind: "data"; readonly channel: number }
  | { readonly kind: "move" }
  | { readonly kind: "wait"; readonly ms: number };

const peer = fc.nat({ max: PEERS.length - 1 });
const channel = fc.integer({ min: 0x4000, max: 0x4002 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("allocate"),
    both: fc.boolean(),
    mobile: fc.boolean(),
    lifetime: fc.constantFrom(600, 1800),
  }),
  fc.record({ kind: fc.constant("refresh"), lifetime: fc.constantFrom(undefined, 900, 3600, 0) }),
  fc.record({ kind: fc.constantFrom("permit", "send", "receive"), peer }),
  fc.record({ kind: fc.constant("bind"), peer, channel }),
  fc.record({ kind: fc.constant("data"), channel }),
  fc.record({ kind: fc.constant("move") }),
  fc.record({ kind: fc.constant("wait"), ms: fc.constantFrom(1, 1000, 100_000, 299_000) }),
);
const steps = fc.array(fc.tuple(fc.nat({ max: TUPLES.length - 1 }), step), { minLength: 3, maxLength: 40 });

/** A server and its clients. */
class Stage {
  readonly lab: Lab;
  readonly clients: readonly LabClient[];
  /** All that the server ever put out. */
  readonly outputs: Output[] = [];
  #tickets = new Map<number, Uint8Array>();

  constructor(seed: number, before?: Stage) {
    this.lab = new Lab({ config: CONFIG, seed });
    this.lab.now = before?.lab.now ?? this.lab.now;
    this.lab.server.setSlots(SLOTS, this.lab.now);
    this.clients = TUPLES.map((tuple) => this.lab.client(tuple));
    if (before === undefined) return;
    this.clients.forEach((client, index) => {
      client.session.challenge = before.clients[index]?.session.challenge;
    });
    this.#tickets = new Map(before.#tickets);
  }

  /** Does a step. What of it can be seen from outside. */
  run(index: number, { ...action }: Step): unknown {
    const client = this.clients[index];
    if (client === undefined) return undefined;
    const seen = this.#act(client, action);
    const fresh = this.lab.take();
    this.outputs.push(...fresh);
    const data = fresh.flatMap((output) =>
      output.type === "send" && output.to === "peer" ? [{ ip: output.peer.ip, port: output.peer.port }] : [],
    );
    const arrived = fresh.flatMap((output) =>
      output.type === "send" && output.to === "client" && (output.bytes[0] ?? 0) >= 0x40 ? [output.client] : [],
    );
    return { seen, data, arrived };
  }

  #act(client: LabClient, action: Step): unknown {
    const target = PEERS["peer" in action ? action.peer : 0] ?? { ip: "", port: 0 };
    switch (action.kind) {
      case "allocate": {
        const reply = allocate(client, [
          attribute(Attr.Lifetime, action.lifetime),
          ...(action.both ? [attribute(Attr.AdditionalAddressFamily, 6)] : []),
          ...(action.mobile ? [attribute(Attr.MobilityTicket, new Uint8Array(0))] : []),
        ]);
        this.#keep(client, reply.message?.get(Attr.MobilityTicket));
        return reply.outcome;
      }
      case "refresh":
        return refresh(client, action.lifetime).outcome;
      case "permit":
        return createPermission(client, target.ip).outcome;
      case "bind":
        return channelBind(client, action.channel, target).outcome;
      case "send":
        client.send(client.session.indication(Method.Send, sendAttributes(target, ENC.encode("x"))));
        return undefined;
      case "data":
        client.send(encodeChannelData(action.channel, ENC.encode("x")));
        return undefined;
      case "receive": {
        const { server, now } = this.lab;
        for (const { relays } of server.list()) {
          for (const { relay } of relays) server.handlePeerInput(relay, target, ENC.encode("x"), now);
        }
        return undefined;
      }
      case "move": {
        const [at, ticket] = [...this.#tickets].at(-1) ?? [];
        if (at === undefined || ticket === undefined) return undefined;
        const reply = refresh(client, undefined, [attribute(Attr.MobilityTicket, ticket)]);
        const next = reply.message?.get(Attr.MobilityTicket);
        if (next !== undefined) this.#tickets.set(at, next.slice());
        return [reply.outcome, next === undefined];
      }
      case "wait":
        this.lab.advance(action.ms);
        return undefined;
    }
  }

  #keep(client: LabClient, ticket: Uint8Array | undefined): void {
    if (ticket !== undefined) this.#tickets.set(this.clients.indexOf(client), ticket.slice());
  }
}

/** The allocations, without the names that a server gives. */
const shown = ({ lab }: Stage) =>
  [...lab.server.list()]
    .map(({ allocation, relays, ...info }) => ({
      ...info,
      snapshot: lab.server.snapshot(allocation),
      relays: relays.map(({ relay: _, ...rest }) => rest),
    }))
    .sort((a, b) => (a.record < b.record ? -1 : 1));

describe("whatever has happened at a server", () => {
  it("another one that restores its allocations publishes the same table, and treats everybody alike", () => {
    fc.assert(
      fc.property(steps, steps, (first, second) => {
        const old = new Stage(1);
        for (const [index, action] of first) old.run(index, action);
        const fresh = new Stage(2, old);
        const snapshots = [...old.lab.server.list()].map(({ allocation }) => old.lab.server.snapshot(allocation));
        for (const snapshot of JSON.parse(JSON.stringify(snapshots))) {
          fresh.lab.server.restore(snapshot, fresh.lab.now, { streamLives: true });
        }
        expect(fresh.lab.events("restore-failed")).toEqual([]);
        expect(fresh.lab.events("allocation-restored")).toHaveLength(snapshots.length);
        fresh.outputs.push(...fresh.lab.take());
        expect(tableOf(fresh.outputs, fresh.lab.now)).toEqual(tableOf(old.outputs, old.lab.now));
        expect(shown(fresh)).toEqual(shown(old));

        for (const [index, action] of second) {
          expect(fresh.run(index, action), JSON.stringify(action)).toEqual(old.run(index, action));
        }
        expect(fresh.lab.server.size).toBe(old.lab.server.size);
        for (const { lab } of [old, fresh]) {
          lab.advance(7_200_000);
          expect(lab.server.size).toBe(0);
          expect(lab.server.pollTimeout()).toBeUndefined();
        }
      }),
      { numRuns: 150 },
    );
  });

  it("what was written when it last told of a change is all that there is", () => {
    fc.assert(
      fc.property(steps, (first) => {
        const stage = new Stage(1);
        const records = new Map<number, unknown>();
        for (const [index, action] of first) {
          const told = stage.outputs.length;
          stage.run(index, action);
          for (const output of stage.outputs.slice(told)) {
            if (output.type === "changed") records.set(output.allocation, stage.lab.server.snapshot(output.allocation));
          }
        }
        const { now, server } = stage.lab;
        for (const { allocation } of server.list()) {
          const record = JSON.parse(JSON.stringify(records.get(allocation)), (_, value) =>
            Array.isArray(value) ? value.filter((item) => !(item?.expiresAt <= now)) : value,
          );
          expect(record).toEqual(server.snapshot(allocation));
        }
      }),
      { numRuns: 100 },
    );
  });
});
