import { strict as assert } from "node:assert";
import { nodeCrypto } from "@culvert/runtime";
import { Attr, attribute, type EncodedAttribute, encodeChannelData, Method } from "@culvert/stun";
import {
  type Ask,
  type Bind,
  type ClientTuple,
  type LeaseId,
  type SlotConfig,
  type TurnEvent,
  TurnServer,
  type TurnServerConfig,
} from "@culvert/turn";
import { Choices } from "./choices.ts";
import { mustDecode } from "./expect-message.ts";
import { seededRandom } from "./random.ts";
import type { RelayTableModel } from "./relay-table-model.ts";
import { StunSession } from "./stun-session.ts";
import {
  ALLOWED,
  ALTERNATES,
  ANSWERS,
  AUTHENTICATOR,
  CHANGES,
  CHANNELS,
  CLIENTS,
  emptyTable,
  IPS,
  LIFETIMES,
  LONG_STEPS,
  MAX_LIFETIME_SECONDS,
  MOBILITIES,
  PEER_PORTS,
  policyOf,
  readSnapshot,
  SHORT_STEPS,
  SLOTS,
  START,
  USERS,
  WORLD,
} from "./turn-world.ts";

/** Of one input no more than this comes. */
const MAX_OUTPUTS = 200;

/**
 * Plays a game with a TURN server that bytes decide: valid and broken requests of several clients that move, data, time,
 * answers, policies, revocations, slots that come and go, another server that takes over. The nonce is echoed and the integrity computed, so that the game gets past the first checks.
 *
 * @throws Error when the server throws, or puts out what it must not, or keeps something in the end.
 */
export function driveTurnServer(input: Uint8Array): void {
  const driver = new TurnDriver(new Choices(input));
  while (!driver.choices.done) driver.step();
  driver.finish();
}

class TurnDriver {
  readonly choices: Choices;
  readonly #config: TurnServerConfig;
  readonly #random = seededRandom(1);
  #server: TurnServer;
  #table: RelayTableModel = emptyTable();
  #slots: readonly SlotConfig[] = [];
  #lastLease: LeaseId = 0;
  readonly #tickets: Uint8Array[] = [];
  readonly #sessions = new Map<string, StunSession>();
  readonly #allocated = new Set<string>();
  readonly #asks: Ask[] = [];
  readonly #binds: Bind[] = [];
  #client: ClientTuple = CLIENTS[0];
  #lastRequest: Uint8Array = new Uint8Array(20);
  #now = START;

  constructor(choices: Choices) {
    this.choices = choices;
    this.#config = {
      ...WORLD,
      slots: choices.chance(2),
      changes: choices.chance(2),
      mobility: choices.pick(MOBILITIES),
      ticketKeys: [new Uint8Array(32)],
      ...(choices.chance(3) ? { admission: { onUnavailable: choices.chance(2) ? "grant" : "refuse" } } : {}),
      limits: { allocationsPerUser: 3, permissionsPerAllocation: 4, channelsPerAllocation: 2, pendingRequests: 3 },
    };
    this.#server = this.#newServer();
  }

  /** One move. */
  step(): void {
    if (this.choices.chance(8)) this.#client = this.choices.pick(CLIENTS);
    const kind = this.choices.int(64);
    const move = this.choices.pick(kind < 44 ? FREQUENT : kind < 62 ? OCCASIONAL : RARE);
    // Most moves of a client without an allocation lead nowhere.
    const isLost = !this.#allocated.has(JSON.stringify(this.#client)) && FREQUENT.includes(move);
    this.moves[isLost && kind % 8 > 0 ? "allocate" : move]();
    this.#settle();
  }

  /** Lets everything run out, and looks whether anything is left. */
  finish(): void {
    this.#pass(2 * MAX_LIFETIME_SECONDS * 1000);
    assert.equal(this.#server.size, 0, "allocations are left");
    assert.equal(this.#server.pollTimeout(), undefined, "a deadline is left");
    assert.deepEqual(this.#table.open, [], "relay sockets are left");
  }

  readonly moves = {
    allocate: (): void => {
      const optional = [
        attribute(Attr.Lifetime, this.choices.pick(LIFETIMES)),
        attribute(Attr.AdditionalAddressFamily, 6),
        attribute(Attr.RequestedAddressFamily, this.choices.chance(2) ? 6 : 4),
        attribute(Attr.EvenPort, { reserveNext: this.choices.chance(2) }),
        attribute(Attr.DontFragment, true),
        attribute(Attr.ReservationToken, this.choices.bytes(8)),
        attribute(Attr.MobilityTicket, this.choices.bytes(this.choices.chance(8) ? 5 : 0)),
      ];
      const wanted = this.choices.byte() & this.choices.byte() & this.choices.byte();
      const attributes = optional.filter((_, bit) => ((wanted >> bit) & 1) === 1);
      const transport = this.choices.chance(16) ? 6 : 17;
      this.#request(Method.Allocate, [attribute(Attr.RequestedTransport, transport), ...attributes]);
    },
    refresh: (): void => {
      const family = this.choices.int(4);
      this.#request(Method.Refresh, [
        attribute(Attr.Lifetime, this.choices.pick(LIFETIMES)),
        ...(family < 2 ? [] : [attribute(Attr.RequestedAddressFamily, family === 2 ? 4 : 6)]),
      ]);
    },
    move: (): void => {
      const ticket = this.#tickets[this.choices.int(Math.max(1, this.#tickets.length))] ?? this.choices.bytes(60);
      this.#request(Method.Refresh, [attribute(Attr.MobilityTicket, ticket)]);
    },
    permit: (): void => {
      const peers = Array.from({ length: this.choices.int(4) }, () => attribute(Attr.XorPeerAddress, this.#peer()));
      this.#request(Method.CreatePermission, peers);
    },
    bindChannel: (): void => {
      this.#request(Method.ChannelBind, [
        attribute(Attr.ChannelNumber, this.choices.pick(CHANNELS)),
        attribute(Attr.XorPeerAddress, this.#peer()),
      ]);
    },
    send: (): void => {
      const attributes = [attribute(Attr.XorPeerAddress, this.#peer()), attribute(Attr.Data, this.choices.bytes(3))];
      this.#input(this.#session().indication(Method.Send, attributes));
    },
    sendOnChannel: (): void =>
      this.#input(encodeChannelData(this.choices.pick([0x4000, 0x4001, 0x4fff]), this.choices.bytes(3))),
    receive: (): void => this.#server.handlePeerInput(this.#relay(), this.#peer(), this.choices.bytes(3), this.#now),
    receiveError: (): void => {
      const icmp = { type: this.choices.byte(), code: this.choices.byte(), data: this.choices.byte() };
      this.#server.handlePeerError(this.#relay(), this.#peer(), icmp, this.#now);
    },
    wait: (): void => this.#pass(this.#step()),
    /** Time passes, but nobody tells the server. */
    stall: (): void => {
      this.#now += this.#step();
    },
    retransmit: (): void => this.#input(this.#lastRequest.slice()),
    corrupt: (): void => {
      const bytes = this.#lastRequest.slice();
      const at = this.choices.byte() % Math.max(1, bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ this.choices.byte();
      this.#input(bytes);
    },
    truncate: (): void => this.#input(this.#lastRequest.slice(0, this.choices.byte())),
    garbage: (): void => this.#input(this.choices.bytes(this.choices.int(40))),
    disconnect: (): void => this.#server.handleClientClosed(this.#client, this.#now),
    changePolicy: (): void =>
      this.#server.setPolicy(policyOf(this.choices.chance(2) ? [this.choices.pick(ALLOWED)] : []), this.#now),
    revoke: (): void => {
      this.#server.revoke({ tenant: "acme", user: this.choices.pick(USERS) }, this.#now);
    },
    terminate: (): void => {
      this.#server.terminate(this.#relay(), this.#now);
    },
    drain: (): void =>
      this.#server.setDraining(this.choices.chance(4) ? { alternates: [{ ip: "9.8.8.8", port: 3478 }] } : undefined),
    fillUp: (): void => this.#server.setAlternates(this.choices.pick(ALTERNATES)),
    changeSlots: (): void => {
      const reason = this.choices.chance(2) ? "handed-over" : "fenced";
      this.#setSlots(this.choices.byte(), reason);
    },
    /** Another server takes all over, from what is written, which may be damaged. */
    takeOver: (): void => {
      const snapshots = [...this.#server.list()].map(({ allocation }) => this.#server.snapshot(allocation));
      const damage = this.choices.chance(4) ? this.choices.byte() : undefined;
      this.#asks.length = 0;
      this.#binds.length = 0;
      this.#unanswered.clear();
      this.#allocated.clear();
      this.#table = emptyTable(this.#table);
      this.#server = this.#newServer();
      for (const snapshot of snapshots) {
        const text = JSON.stringify(snapshot);
        const at = (damage ?? 0) % text.length;
        const restored = readSnapshot(damage === undefined ? text : `${text.slice(0, at)}7${text.slice(at + 1)}`);
        // Where the damage sends a client nobody has invited it to.
        if (restored !== undefined && (damage === undefined || snapshot?.movingTo === undefined)) {
          this.#server.restore(restored, this.#now, { streamLives: this.choices.chance(2) });
        }
      }
    },
    rotate: (): void => {
      const key = this.choices.int(3);
      this.#server.setNonceKeys([new Uint8Array(32).fill(key), new Uint8Array(32).fill(key - 1)]);
    },
    answer: (): void => {
      const ask = this.#asks.splice(this.choices.int(Math.max(1, this.#asks.length)), 1)[0];
      const answer = this.choices.pick(ANSWERS);
      this.#server.handleAnswer(ask?.id ?? this.choices.byte(), answer, this.#now);
    },
    answerBind: (): void => {
      const bind = this.#binds.splice(this.choices.int(Math.max(1, this.#binds.length)), 1)[0];
      this.#answerBind(bind?.relay ?? this.choices.byte(), this.choices.int(8));
    },
  };

  #newServer(): TurnServer {
    this.#server = new TurnServer(this.#config, {
      crypto: nodeCrypto,
      random: this.#random,
      authenticator: AUTHENTICATOR,
    });
    if (this.#config.slots === true) this.#setSlots(0xff, "fenced");
    return this.#server;
  }

  /** Two bits of the byte for each slot: whether it is held, and whether it is open; the rest: whether leases are new. */
  #setSlots(bits: number, reason: "fenced" | "handed-over"): void {
    if (this.#config.slots !== true) return;
    this.#slots = SLOTS.flatMap((slot, index) => {
      if (((bits >> index) & 1) === 0) return [];
      const held = bits > 0xc0 ? undefined : this.#slots.find(({ slot: name }) => name === slot.slot);
      return [{ ...slot, lease: held?.lease ?? ++this.#lastLease, open: ((bits >> (3 + index)) & 1) === 1 }];
    });
    this.#server.setSlots(this.#slots, this.#now, reason);
    this.#settle();
    this.#table.checkLeases(new Set(this.#slots.map(({ lease }) => lease)));
  }

  #request(method: number, attributes: readonly EncodedAttribute[]): void {
    const session = this.#session();
    const changes = CHANGES[this.choices.byte()] ?? {};
    // As clients do: a challenge is answered with the same request again.
    for (let attempt = 0; attempt < 2; attempt++) {
      const { challenge } = session;
      this.#lastRequest = session.request(method, attributes, changes);
      this.#input(this.#lastRequest.slice());
      this.#settle();
      if (session.challenge === challenge) return;
    }
  }

  #step(): number {
    return this.choices.chance(4) ? this.choices.pick(LONG_STEPS) : this.choices.pick(SHORT_STEPS);
  }

  #input(bytes: Uint8Array): void {
    this.#server.handleClientInput(this.#client, bytes, this.#now);
  }

  #peer(): { ip: string; port: number } {
    const ips = this.choices.chance(4) ? IPS : ALLOWED;
    return { ip: this.choices.pick(ips), port: this.choices.pick(PEER_PORTS) };
  }

  #relay(): number {
    const { open } = this.#table;
    return open[this.choices.int(Math.max(1, open.length))] ?? this.choices.byte();
  }

  /** The client's 5-tuple, with one of the users on it. */
  #session(): StunSession {
    const username = this.choices.chance(12) ? this.choices.pick(USERS) : "alice";
    const key = `${JSON.stringify(this.#client)} ${username}`;
    const existing = this.#sessions.get(key);
    if (existing !== undefined) return existing;
    const dialect = this.choices.chance(2) ? "rfc8489" : "rfc5389";
    const session = new StunSession({ username, password: "secret", random: this.#random, dialect });
    this.#sessions.set(key, session);
    return session;
  }

  /** Time passes as it should: every deadline is kept. */
  #pass(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const next = this.#server.pollTimeout();
      if (next === undefined || next > end) break;
      this.#now = Math.max(this.#now, next);
      this.#server.handleTimeout(this.#now);
      const after = this.#server.pollTimeout();
      assert(after === undefined || after > this.#now, "a deadline stays due");
      this.#settle();
    }
    this.#now = end;
    this.#settle();
  }

  #answerBind(relay: number, choice: number): void {
    const isAwaited = this.#unanswered.delete(relay);
    const reason = ([undefined, "in-use", "unavailable", "no-descriptors"] as const)[Math.max(0, choice - 4)];
    // A socket that was closed before the answer came is no concern of the table.
    if (reason !== undefined && isAwaited) this.#table.bindFailed(relay);
    this.#server.handleBound(relay, reason === undefined ? { ok: true } : { ok: false, reason }, this.#now);
  }

  readonly #unanswered = new Set<number>();

  #settle(): void {
    for (let count = 0; ; count++) {
      const output = this.#server.pollOutput();
      if (output === undefined) return;
      assert(count < MAX_OUTPUTS, "too many outputs");
      this.#table.apply(output, this.#now);
      if (output.type === "ask") this.#asks.push(output);
      if (output.type === "changed" && this.choices.chance(2)) this.#server.snapshot(output.allocation);
      if (output.type === "event") this.#note(output);
      if (output.type === "unbind") this.#unanswered.delete(output.relay);
      if (output.type === "send" && output.to === "client") this.#learn(output.client, output.bytes);
      if (output.type !== "bind") continue;
      this.#unanswered.add(output.relay);
      if (this.choices.chance(8)) this.#binds.push(output);
      else this.#answerBind(output.relay, this.choices.chance(8) ? 5 : 0);
    }
  }

  #note(event: TurnEvent): void {
    if (event.name === "allocation-created" || event.name === "allocation-restored")
      this.#allocated.add(JSON.stringify(event.client));
    if (event.name === "allocation-deleted") this.#allocated.delete(JSON.stringify(event.client));
  }

  #learn(client: ClientTuple, bytes: Uint8Array): void {
    if ((bytes[0] ?? 0) >= 0x40) return;
    const message = mustDecode(bytes);
    const ticket = message.get(Attr.MobilityTicket);
    if (ticket !== undefined) this.#tickets.push(ticket.slice());
    for (const [key, session] of this.#sessions) {
      if (key.startsWith(JSON.stringify(client))) session.learn(message);
    }
  }
}

type Move = keyof TurnDriver["moves"];

const FREQUENT: readonly [Move, ...Move[]] = [
  "allocate",
  "permit",
  "permit",
  "bindChannel",
  "bindChannel",
  "send",
  "sendOnChannel",
  "receive",
  "refresh",
];
const OCCASIONAL: readonly [Move, ...Move[]] = [
  "receiveError",
  "wait",
  "stall",
  "retransmit",
  "corrupt",
  "truncate",
  "garbage",
  "answer",
  "answerBind",
  "move",
  "move",
];
const RARE: readonly [Move, ...Move[]] = [
  "disconnect",
  "changePolicy",
  "revoke",
  "terminate",
  "drain",
  "rotate",
  "fillUp",
  "changeSlots",
  "takeOver",
];
