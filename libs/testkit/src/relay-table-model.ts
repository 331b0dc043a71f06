import { strict as assert } from "node:assert";
import { Attr, decodeChannelData, decodeMessage, MessageClass, Method } from "@culvert/stun";
import type { Bind, LeaseId, Output, PermissionEntry, RelayId, TableEntry } from "@culvert/turn";

interface RelayModel {
  readonly port: number;
  readonly lease: LeaseId | undefined;
  deadline: number;
  client: string | undefined;
  readonly permissions: Map<string, PermissionEntry>;
  readonly channels: Map<number, { readonly ip: string; readonly port: number; readonly deadline: number }>;
}

export interface TableRules {
  readonly ports: { readonly min: number; readonly max: number };
  readonly maxLifetimeMs: number;
  /** No packet may go there, no permission may name it. */
  readonly forbidden: ReadonlySet<string>;
}

/**
 * What a data plane would have in its table after the outputs of a TURN server, and what must hold for each of them:
 * above all that every relayed packet has a permission.
 */
export class RelayTableModel {
  readonly #rules: TableRules;
  readonly #relays = new Map<RelayId, RelayModel>();
  readonly #failed = new Set<RelayId>();
  /** Clients whose Refresh with a ticket was granted: data may go to them. */
  readonly #invited: Set<string>;

  /** `before`: what another data plane had, from which this one takes over. */
  constructor(rules: TableRules, before?: RelayTableModel) {
    this.#rules = rules;
    this.#invited = new Set(before === undefined ? [] : before.#invited);
  }

  /** The relays that are open. */
  get open(): readonly RelayId[] {
    return [...this.#relays.keys()];
  }

  /**
   * Carries out an output.
   *
   * @throws AssertionError when it must not be.
   */
  apply(output: Output, now: number): void {
    if (output.type === "bind") this.#bind(output);
    if (output.type === "unbind") this.#unbind(output.relay);
    if (output.type === "upsert") this.#upsert(output.entry, now);
    if (output.type === "revoke") this.#revoke(output);
    if (output.type === "send" && output.to === "peer") this.#checkToPeer(output, now);
    if (output.type === "send" && output.to === "client") this.#checkToClient(output, now);
  }

  /**
   * Says which leases are held.
   *
   * @throws AssertionError when a relay is open under another one.
   */
  checkLeases(held: ReadonlySet<LeaseId>): void {
    for (const [relay, { lease }] of this.#relays) {
      assert(lease !== undefined && held.has(lease), `relay ${relay} is open without a lease`);
    }
  }

  /** The relay could not be bound after all. */
  bindFailed(relay: RelayId): void {
    if (this.#relays.delete(relay)) this.#failed.add(relay);
  }

  /** The server may not know yet that a relay could not be bound. */
  #unbind(relay: RelayId): void {
    assert(this.#relays.delete(relay) || this.#failed.delete(relay), `unbind of ${relay}, not bound`);
  }

  #bind({ relay, local: { port }, lease }: Bind): void {
    assert(!this.#relays.has(relay), `relay ${relay} is bound twice`);
    assert(port >= this.#rules.ports.min && port <= this.#rules.ports.max, `port ${port} is out of range`);
    this.#relays.set(relay, {
      port,
      lease,
      deadline: 0,
      client: undefined,
      permissions: new Map(),
      channels: new Map(),
    });
  }

  #upsert(entry: TableEntry, now: number): void {
    const relay = this.#relays.get(entry.relay);
    assert(relay !== undefined, `${entry.kind} of relay ${entry.relay}, which is not bound`);
    assert(entry.deadline > now, `${entry.kind} that is over already`);
    if (entry.kind === "allocation") {
      const client = JSON.stringify(entry.client);
      const mayHave = relay.client === undefined || relay.client === client || this.#invited.has(client);
      assert(mayHave, "an allocation changed hands");
      assert(entry.deadline <= now + this.#rules.maxLifetimeMs, "an allocation for too long");
      relay.client = client;
      relay.deadline = entry.deadline;
      return;
    }
    assert(relay.client !== undefined, `${entry.kind} before its allocation`);
    if (entry.kind === "permission") {
      assert(!this.#rules.forbidden.has(entry.ip), `permission for ${entry.ip}`);
      assert(entry.deadline <= now + 300_000, "a permission for too long");
      relay.permissions.set(entry.ip, entry);
      return;
    }
    assert(entry.channel >= 0x4000 && entry.channel <= 0x4fff, `channel ${entry.channel}`);
    assert(entry.deadline <= now + 600_000, "a channel for too long");
    const bound = relay.channels.get(entry.channel);
    assert(bound === undefined || (bound.ip === entry.peer.ip && bound.port === entry.peer.port), "a channel moved");
    relay.channels.set(entry.channel, { ...entry.peer, deadline: entry.deadline });
  }

  #revoke({ key }: Extract<Output, { type: "revoke" }>): void {
    const relay = this.#relays.get(key.relay);
    assert(relay !== undefined, `revocation for relay ${key.relay}, which is not bound`);
    const had = key.kind === "permission" ? relay.permissions.delete(key.ip) : relay.channels.delete(key.channel);
    assert(had, `revocation of a ${key.kind} that is not there`);
  }

  #checkToPeer({ relay, peer }: Extract<Output, { to: "peer" }>, now: number): void {
    const model = this.#relays.get(relay);
    assert(model !== undefined && model.deadline > now, "data from a relay that is over");
    assert(!this.#rules.forbidden.has(peer.ip), `data to ${peer.ip}`);
    const permission = [...model.permissions.values()].find(({ ip, wireIp = ip }) => wireIp === peer.ip);
    this.#checkPermission(permission, peer.port, now);
  }

  #checkToClient({ client, bytes }: Extract<Output, { to: "client" }>, now: number): void {
    const relays = [...this.#relays.values()].filter((relay) => relay.client === JSON.stringify(client));
    const channelData = decodeChannelData(bytes);
    if (channelData !== undefined) {
      const bound = relays.flatMap(({ channels }) => channels.get(channelData.channel) ?? []);
      assert.equal(bound.length, 1, "data on a channel that is not bound");
      return;
    }
    const decoded = decodeMessage(bytes);
    assert(decoded.ok, "a message that does not parse");
    const { message } = decoded;
    const isSuccess = message.method === Method.Refresh && message.class === MessageClass.Success;
    if (isSuccess && message.has(Attr.MobilityTicket)) this.#invited.add(JSON.stringify(client));
    if (message.method !== Method.Data) return;
    assert(
      relays.some(({ deadline, permissions }) => deadline > now && permissions.size > 0),
      "data to a client without permissions",
    );
  }

  #checkPermission(permission: PermissionEntry | undefined, port: number, now: number): void {
    assert(permission !== undefined && permission.deadline > now, "data to a peer without permission");
    const { ports } = permission;
    assert(ports === undefined || (port >= ports.min && port <= ports.max), `data to port ${port}`);
  }
}
