import type {
  BoundListener,
  DataPlane,
  DataPlaneEvent,
  DataPlaneLimits,
  DropReason,
  ListenerSpec,
  PlaneCommand,
} from "@culvert/dataplane";
import type { AddressFamily, TransportAddress } from "@culvert/stun";
import type { Bind, BindResult, ClientTuple, Millis, PortRange, RelayId } from "@culvert/turn";
import { expect, onTestFinished } from "vitest";
import { Inbox } from "./inbox.ts";
import { type ConnectOptions, StreamEndpoint } from "./stream-endpoint.ts";
import { UdpEndpoint } from "./udp-endpoint.ts";

/** A data plane under test, and the clock that it was given. */
export interface Harness {
  readonly plane: DataPlane;
  now(): Millis;
  /** Moves the clock on. */
  advance(ms: number): void | Promise<void>;
  /** Whether it sees the traffic class of what comes, and gives it to what it sends. */
  readonly copiesTrafficClass?: boolean;
}

export interface HarnessOptions extends Partial<DataPlaneLimits> {
  readonly clientsMove?: boolean;
}

export type CreateHarness = (options: HarnessOptions) => Harness;

export const LIFETIME = 600_000;

export const LOOPBACK: Readonly<Record<AddressFamily, string>> = { 4: "127.0.0.1", 6: "::1" };

export const tuple = (listener: BoundListener, { address }: { readonly address: TransportAddress }): ClientTuple => ({
  listener: listener.id,
  remote: address,
});

/** For `expect.poll`: the test's own time limit is to be the one that counts. */
export const POLLING = { interval: 5, timeout: 15_000 } as const;

/** One data plane with everything that talks to it, for the time of one test. */
export class World {
  readonly plane: DataPlane;
  readonly harness: Harness;
  readonly #events: Map<DataPlaneEvent["type"], Inbox<DataPlaneEvent>> = new Map();
  #nextId = 1;

  constructor(create: CreateHarness, options: HarnessOptions = {}) {
    this.harness = create(options);
    this.plane = this.harness.plane;
    this.plane.onEvents((events) => {
      for (const event of events) this.#eventsOf(event.type).push(event);
    });
    onTestFinished(() => this.plane.close());
  }

  get deadline(): Millis {
    return this.harness.now() + LIFETIME;
  }

  /** The next event of the type. */
  async event<T extends DataPlaneEvent["type"]>(type: T): Promise<Extract<DataPlaneEvent, { type: T }>> {
    const event = await this.#eventsOf(type).next();
    return event as Extract<DataPlaneEvent, { type: T }>;
  }

  listen(spec: Partial<ListenerSpec> = {}): Promise<BoundListener> {
    return this.plane.listen({
      id: this.#nextId++,
      transport: "udp",
      local: { ip: LOOPBACK[4], port: 0 },
      ...spec,
    });
  }

  async udp(ip: string = LOOPBACK[4]): Promise<UdpEndpoint> {
    const endpoint = await UdpEndpoint.open(ip);
    onTestFinished(() => endpoint.close());
    return endpoint;
  }

  async connect(to: BoundListener, options?: ConnectOptions): Promise<StreamEndpoint> {
    const endpoint = await StreamEndpoint.connect(to.local, options);
    onTestFinished(() => endpoint.destroy());
    return endpoint;
  }

  apply(...commands: PlaneCommand[]): void {
    this.plane.apply(commands);
  }

  async bind(relay: RelayId, local: TransportAddress, options: Partial<Bind> = {}): Promise<BindResult> {
    this.apply({ type: "bind", relay, local, ...options });
    const event = await this.event("bound");
    expect(event.relay).toBe(relay);
    return event.result;
  }

  /** A relay socket that nobody owns yet. */
  async relay(
    ip: string = LOOPBACK[4],
    options: Partial<Bind> = {},
  ): Promise<{ readonly id: RelayId; readonly address: TransportAddress }> {
    for (;;) {
      const probe = await UdpEndpoint.open(ip);
      await probe.close();
      const id = this.#nextId++;
      const result = await this.bind(id, probe.address, options);
      if (result.ok) return { id, address: probe.address };
      // Someone else on this host took the port in between.
      expect(result.reason).toBe("in-use");
    }
  }

  /** A relay socket that the client owns. */
  async allocation(
    client: ClientTuple,
    options: { readonly ip?: string; readonly maxBytesPerSecond?: number } = {},
  ): Promise<{ readonly id: RelayId; readonly address: TransportAddress }> {
    const { ip = LOOPBACK[4], ...rest } = options;
    const relay = await this.relay(ip);
    this.allocate(relay.id, client, { family: ip.includes(":") ? 6 : 4, ...rest });
    return relay;
  }

  allocate(
    relay: RelayId,
    client: ClientTuple,
    options: { readonly family?: AddressFamily; readonly deadline?: Millis; readonly maxBytesPerSecond?: number } = {},
  ): void {
    const entry = { kind: "allocation", relay, client, family: 4, deadline: this.deadline, ...options } as const;
    this.apply({ type: "upsert", entry });
  }

  permit(
    relay: RelayId,
    ip: string,
    options: {
      readonly deadline?: Millis;
      readonly wireIp?: string;
      readonly ports?: PortRange;
      readonly exceptPorts?: readonly number[];
    } = {},
  ): void {
    this.apply({ type: "upsert", entry: { kind: "permission", relay, ip, deadline: this.deadline, ...options } });
  }

  channel(
    relay: RelayId,
    channel: number,
    peer: TransportAddress,
    options: { readonly deadline?: Millis; readonly wireIp?: string } = {},
  ): void {
    const entry = { kind: "channel", relay, channel, peer, deadline: this.deadline, ...options } as const;
    this.apply({ type: "upsert", entry });
  }

  /** Waits until this many, and no more, were dropped for the reason, and nothing for another one. */
  async expectDropped(expected: Partial<Record<DropReason, number>>): Promise<void> {
    await expect.poll(() => this.#drops(), POLLING).toEqual(expected);
  }

  #drops(): Partial<Record<DropReason, number>> {
    const all = Object.entries(this.plane.counters().dropped);
    return Object.fromEntries(all.filter(([, count]) => count > 0));
  }

  #eventsOf(type: DataPlaneEvent["type"]): Inbox<DataPlaneEvent> {
    const known = this.#events.get(type);
    if (known !== undefined) return known;
    const inbox = new Inbox<DataPlaneEvent>();
    this.#events.set(type, inbox);
    return inbox;
  }
}
