import fc from "fast-check";

/** Addresses differ from run to run, so traces name who takes part. */
export type ClientName = "A" | "B" | "T";
export type PeerName = "P" | "Q";

/** How clients know the peers: by their own address, or by one that is mapped to it. */
export type Known = "own" | "mapped";

/** One step of a trace: a command, a packet, or time that passes. */
export type Step =
  | { readonly type: "bind" | "unbind"; readonly relay: number }
  | {
      readonly type: "allocate";
      readonly relay: number;
      readonly client: ClientName;
      readonly lifetime: number;
      readonly rate: number | undefined;
    }
  | {
      readonly type: "permit";
      readonly relay: number;
      readonly known: Known;
      readonly lifetime: number;
      readonly only: PeerName | undefined;
      readonly except: PeerName | undefined;
    }
  | {
      readonly type: "channel";
      readonly relay: number;
      readonly channel: number;
      readonly known: Known;
      readonly peer: PeerName;
      readonly lifetime: number;
    }
  | { readonly type: "revoke-permission"; readonly relay: number; readonly known: Known }
  | { readonly type: "revoke-channel"; readonly relay: number; readonly channel: number }
  | { readonly type: "advance"; readonly ms: number }
  | { readonly type: "channel-data"; readonly client: ClientName; readonly channel: number; readonly size: number }
  | {
      readonly type: "send";
      readonly client: ClientName;
      readonly known: Known;
      readonly peer: PeerName;
      readonly size: number;
    }
  | { readonly type: "binding"; readonly client: ClientName }
  /** A Send indication or ChannelData of which one byte is another; datagrams only. */
  | {
      readonly type: "damaged";
      readonly client: Exclude<ClientName, "T">;
      readonly channelData: boolean;
      readonly at: number;
      readonly flip: number;
    }
  | { readonly type: "raw"; readonly client: Exclude<ClientName, "T">; readonly bytes: Uint8Array }
  | { readonly type: "from-peer"; readonly relay: number; readonly peer: PeerName; readonly size: number }
  | {
      readonly type: "to-peer";
      readonly relay: number;
      readonly known: Known;
      readonly peer: PeerName;
      readonly size: number;
    };

const relay = fc.constantFrom(0, 1);
const client = fc.constantFrom<ClientName>("A", "B", "T");
const datagramClient = fc.constantFrom<Exclude<ClientName, "T">>("A", "B");
const peer = fc.constantFrom<PeerName>("P", "Q");
const known = fc.constantFrom<Known>("own", "own", "own", "mapped");
const channel = fc.constantFrom(0x4000, 0x4001);
const lifetime = fc.constantFrom(600_000, 600_000, 600_000, 1000);
const size = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(1200, 9000));

const allocate = fc.record({
  type: fc.constant("allocate" as const),
  relay,
  client,
  lifetime,
  rate: fc.constantFrom(undefined, undefined, 100),
});
const permit = fc.record({
  type: fc.constant("permit" as const),
  relay,
  known,
  lifetime,
  only: fc.constantFrom(undefined, undefined, undefined, "P" as const),
  except: fc.constantFrom(undefined, undefined, undefined, "Q" as const),
});
const bindChannel = fc.record({ type: fc.constant("channel" as const), relay, channel, known, peer, lifetime });

const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ type: fc.constantFrom("bind" as const, "unbind" as const), relay }), weight: 1 },
  { arbitrary: allocate, weight: 2 },
  { arbitrary: permit, weight: 3 },
  { arbitrary: bindChannel, weight: 3 },
  { arbitrary: fc.record({ type: fc.constant("revoke-permission" as const), relay, known }), weight: 1 },
  { arbitrary: fc.record({ type: fc.constant("revoke-channel" as const), relay, channel }), weight: 1 },
  { arbitrary: fc.record({ type: fc.constant("advance" as const), ms: fc.constantFrom(1, 500, 1000) }), weight: 1 },
  { arbitrary: fc.record({ type: fc.constant("channel-data" as const), client, channel, size }), weight: 6 },
  { arbitrary: fc.record({ type: fc.constant("send" as const), client, known, peer, size }), weight: 6 },
  { arbitrary: fc.record({ type: fc.constant("binding" as const), client }), weight: 1 },
  {
    arbitrary: fc.record({
      type: fc.constant("damaged" as const),
      client: datagramClient,
      channelData: fc.boolean(),
      at: fc.nat(60),
      flip: fc.integer({ min: 1, max: 255 }),
    }),
    weight: 4,
  },
  {
    arbitrary: fc.record({
      type: fc.constant("raw" as const),
      client: datagramClient,
      bytes: fc.uint8Array({ maxLength: 60 }),
    }),
    weight: 2,
  },
  { arbitrary: fc.record({ type: fc.constant("from-peer" as const), relay, peer, size }), weight: 8 },
  { arbitrary: fc.record({ type: fc.constant("to-peer" as const), relay, known, peer, size }), weight: 2 },
);

/** Most traces begin with relays that work, so that what follows has something to break. */
const prologue: readonly Step[] = [
  { type: "bind", relay: 0 },
  { type: "bind", relay: 1 },
  { type: "allocate", relay: 0, client: "A", lifetime: 600_000, rate: undefined },
  { type: "allocate", relay: 1, client: "T", lifetime: 600_000, rate: undefined },
  { type: "permit", relay: 0, known: "own", lifetime: 600_000, only: undefined, except: undefined },
  { type: "permit", relay: 1, known: "own", lifetime: 600_000, only: undefined, except: undefined },
  { type: "channel", relay: 0, channel: 0x4000, known: "own", peer: "P", lifetime: 600_000 },
];

export const traces: fc.Arbitrary<readonly Step[]> = fc
  .tuple(fc.boolean(), fc.array(step, { minLength: 10, maxLength: 60 }))
  .map(([bare, steps]) => (bare ? steps : [...prologue, ...steps]));
