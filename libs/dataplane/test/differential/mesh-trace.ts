import fc from "fast-check";

/** Addresses differ from run to run, so traces name who takes part: two clients, a peer, two other relays. */
export type ClientName = "A" | "B";
export type MemberName = "M" | "N";

/** What a client says, directly or by way of another relay. */
export type Said = "channel-data" | "send" | "request" | "binding" | "nonsense";

export type MeshStep =
  | { readonly type: "register" | "gone"; readonly member: MemberName }
  | { readonly type: "foreign"; readonly client: ClientName; readonly member: MemberName; readonly lifetime: number }
  | { readonly type: "revoke"; readonly client: ClientName }
  | { readonly type: "forward"; readonly client: ClientName; readonly member: MemberName }
  | { readonly type: "allocate"; readonly client: ClientName }
  | { readonly type: "bind"; readonly lease: number | undefined }
  | { readonly type: "unbind" }
  | { readonly type: "lease"; readonly lease: number; readonly lifetime: number }
  | { readonly type: "advance"; readonly ms: number }
  | { readonly type: "says"; readonly client: ClientName; readonly said: Said; readonly via: MemberName | undefined }
  | { readonly type: "answer"; readonly client: ClientName }
  | { readonly type: "reply"; readonly client: ClientName; readonly member: MemberName }
  | { readonly type: "peer"; readonly size: number; readonly via: MemberName | undefined }
  | { readonly type: "control"; readonly member: MemberName }
  | { readonly type: "replay"; readonly member: MemberName }
  | { readonly type: "damaged"; readonly member: MemberName; readonly at: number };

const client = fc.constantFrom<ClientName>("A", "B");
const member = fc.constantFrom<MemberName>("M", "N");
const via = fc.constantFrom<MemberName | undefined>(undefined, "M", "N");
const lease = fc.constantFrom(1, 2);
const lifetime = fc.constantFrom(600_000, 600_000, 1000);

const step: fc.Arbitrary<MeshStep> = fc.oneof(
  { arbitrary: fc.record({ type: fc.constant("register" as const), member }), weight: 1 },
  { arbitrary: fc.record({ type: fc.constant("gone" as const), member }), weight: 1 },
  { arbitrary: fc.record({ type: fc.constant("foreign" as const), client, member, lifetime }), weight: 3 },
  { arbitrary: fc.record({ type: fc.constant("revoke" as const), client }), weight: 1 },
  { arbitrary: fc.record({ type: fc.constant("forward" as const), client, member }), weight: 2 },
  { arbitrary: fc.record({ type: fc.constant("allocate" as const), client }), weight: 2 },
  { arbitrary: fc.record({ type: fc.constant("bind" as const), lease: fc.constantFrom(undefined, 1, 2) }), weight: 2 },
  { arbitrary: fc.record({ type: fc.constant("unbind" as const) }), weight: 1 },
  {
    arbitrary: fc.record({ type: fc.constant("lease" as const), lease, lifetime: fc.constantFrom(600_000, 1000, 0) }),
    weight: 2,
  },
  {
    arbitrary: fc.record({
      type: fc.constant("advance" as const),
      ms: fc.constantFrom(1, 500, 1000, 60_000, 3_600_000),
    }),
    weight: 1,
  },
  {
    arbitrary: fc.record({
      type: fc.constant("says" as const),
      client,
      said: fc.constantFrom<Said>("channel-data", "channel-data", "send", "send", "request", "binding", "nonsense"),
      via,
    }),
    weight: 12,
  },
  { arbitrary: fc.record({ type: fc.constant("answer" as const), client }), weight: 3 },
  { arbitrary: fc.record({ type: fc.constant("reply" as const), client, member }), weight: 4 },
  {
    arbitrary: fc.record({ type: fc.constant("peer" as const), size: fc.constantFrom(0, 1, 30, 1200), via }),
    weight: 8,
  },
  { arbitrary: fc.record({ type: fc.constant("control" as const), member }), weight: 1 },
  { arbitrary: fc.record({ type: fc.constant("replay" as const), member }), weight: 1 },
  { arbitrary: fc.record({ type: fc.constant("damaged" as const), member, at: fc.nat(100) }), weight: 1 },
);

/** Most traces begin with a relay that works and members that are registered. */
const prologue: readonly MeshStep[] = [
  { type: "register", member: "M" },
  { type: "register", member: "N" },
  { type: "lease", lease: 1, lifetime: 600_000 },
  { type: "bind", lease: 1 },
  { type: "allocate", client: "A" },
];

export const meshTraces: fc.Arbitrary<readonly MeshStep[]> = fc
  .tuple(fc.boolean(), fc.array(step, { minLength: 10, maxLength: 50 }))
  .map(([bare, steps]): readonly MeshStep[] => (bare ? steps : [...prologue, ...steps]));
