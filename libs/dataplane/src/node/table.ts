import type { AddressFamily, TransportAddress } from "@culvert/stun";
import type {
  AllocationEntry,
  ClientTuple,
  LeaseId,
  ListenerId,
  Millis,
  RelayId,
  Revoke,
  TableEntry,
} from "@culvert/turn";
import { AddressMap } from "./address-map.ts";
import { Client } from "./client.ts";
import type { Paths } from "./mesh-clients.ts";
import type { Relay } from "./relay.ts";

const slot = (family: AddressFamily): "relay4" | "relay6" => (family === 4 ? "relay4" : "relay6");

/** Which client owns which relay, and what may pass between them. */
export class Table {
  readonly relays: Map<RelayId, Relay> = new Map();
  /** Until when relays under a lease may relay. */
  readonly leases: Map<LeaseId, Millis> = new Map();
  readonly #clients: Map<ListenerId, AddressMap<Client>> = new Map();
  readonly #byAddress: AddressMap<Relay> = new AddressMap();
  readonly #paths: Paths;

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  client({ listener, remote }: ClientTuple): Client | undefined {
    return this.#clients.get(listener)?.get(remote.ip, remote.port);
  }

  /** The relay whose socket is bound to the address. */
  relayAt({ ip, port }: TransportAddress): Relay | undefined {
    return this.#byAddress.get(ip, port);
  }

  /** Its socket is bound. */
  opened(relay: Relay): void {
    const { ip, port } = relay.socket.local;
    this.#byAddress.set(ip, port, relay);
  }

  /** The clients of a listener that own a relay. */
  clientsOf(listener: ListenerId): AddressMap<Client> {
    const known = this.#clients.get(listener);
    if (known !== undefined) return known;
    const clients = new AddressMap<Client>();
    this.#clients.set(listener, clients);
    return clients;
  }

  /** Entries of a relay that is not open are void: there is nothing to relay through. */
  upsert(entry: TableEntry, now: Millis): void {
    const relay = this.relays.get(entry.relay);
    if (relay === undefined) return;
    if (entry.kind === "allocation") this.#assign(relay, entry, now);
    else if (entry.kind === "permission") relay.setPermission(entry);
    else relay.setChannel(entry);
  }

  revoke(key: Revoke["key"]): void {
    const relay = this.relays.get(key.relay);
    if (relay === undefined) return;
    if (key.kind === "permission") relay.deletePermission(key.ip);
    else relay.deleteChannel(key.channel);
  }

  remove(relay: Relay): void {
    this.#detach(relay);
    if (this.relays.get(relay.id) === relay) this.relays.delete(relay.id);
    if (!relay.socket.open) return;
    const { ip, port } = relay.socket.local;
    this.#byAddress.delete(ip, port, relay);
  }

  /** The client is gone: whoever comes from its address next is another one. */
  forgetClient({ listener, remote }: ClientTuple): void {
    const client = this.client({ listener, remote });
    if (client?.relay4 !== undefined) this.#detach(client.relay4);
    if (client?.relay6 !== undefined) this.#detach(client.relay6);
  }

  #assign(relay: Relay, entry: AllocationEntry, now: Millis): void {
    relay.setAllocation(entry, now);
    const clients = this.clientsOf(entry.client.listener);
    const { ip, port } = entry.client.remote;
    let client = clients.get(ip, port);
    if (client !== undefined && client === relay.client && client[slot(entry.family)] === relay) return;

    this.#detach(relay);
    client = clients.get(ip, port);
    const displaced = client?.[slot(entry.family)];
    if (displaced !== undefined) this.#detach(displaced);
    client = clients.get(ip, port);
    if (client === undefined) {
      client = new Client(entry.client, this.#paths.get(entry.client, now));
      clients.set(ip, port, client);
    }
    client[slot(entry.family)] = relay;
    relay.client = client;
    for (const channel of relay.channels.values()) client.learnChannel(channel);
  }

  #detach(relay: Relay): void {
    const client = relay.client;
    if (client === undefined) return;
    relay.client = undefined;
    if (client.relay4 === relay) client.relay4 = undefined;
    if (client.relay6 === relay) client.relay6 = undefined;
    for (const channel of relay.channels.values()) client.forgetChannel(channel);
    if (client.relay4 !== undefined || client.relay6 !== undefined) return;
    const { listener, remote } = client.tuple;
    this.#clients.get(listener)?.delete(remote.ip, remote.port, client);
  }
}
