import type { AllocationChange, AllocationFilter, AllocationStatus, RelayStatus } from "@culvert/contracts";
import { formatAddress } from "@culvert/stun";
import type { Command } from "commander";
import { duration, shown, size, table } from "./format.ts";
import { wholeNumber } from "./numbers.ts";
import { askRelay, type RelayAccessOptions, withRelayAccess } from "./relay-access.ts";

/** The most that a relay gives at once. */
const PAGE = 1000;

type FilterOptions = RelayAccessOptions & AllocationFilter;

/** Adds `relays`, `drain` and `undrain`. */
export function addRelays(program: Command): void {
  withRelayAccess(program.command("relays"))
    .description("list relays with their load")
    .action(async (options: RelayAccessOptions) => {
      const relays = await askRelay(options, (client) => client.relays());
      print(options.json ? json({ relays }) : relayTable(relays));
    });
  withRelayAccess(program.command("drain"))
    .argument("<relay>", "identity of the relay, as 'culvert relays' shows it")
    .description("have a relay refuse new allocations; those it has go on")
    .action(async (identity: string, options: RelayAccessOptions) => {
      const relay = await askRelay(options, (client) => client.drain(identity));
      print(options.json ? json({ relay }) : `${shown(relay.identity)} drains; it has ${count(relay.allocations)}\n`);
    });
  withRelayAccess(program.command("undrain"))
    .argument("<relay>", "identity of the relay, as 'culvert relays' shows it")
    .description("have a relay take new allocations again")
    .action(async (identity: string, options: RelayAccessOptions) => {
      const relay = await askRelay(options, (client) => client.undrain(identity));
      print(options.json ? json({ relay }) : `${shown(relay.identity)} takes new allocations\n`);
    });
}

/** Adds `allocations` with `show`, `watch` and `kill`. */
export function addAllocations(program: Command): void {
  const allocations = withRelayAccess(program.command("allocations"))
    .description("list allocations, or watch, show and end them")
    .option("--tenant <tenant>", "only of this tenant")
    .option("--user <user>", "only of this user")
    .option("--relay <relay>", "only on this relay")
    .option("--limit <count>", "the most that are listed", wholeNumber(1, 1_000_000), 100)
    .action(async (options: FilterOptions & { limit: number }) => {
      const found = await list(options, options.limit);
      print(options.json ? json(found) : allocationTable(found.allocations, Date.now()));
      if (found.more && !options.json) note(`more than ${options.limit}; --limit shows more`);
    });
  allocations
    .command("show")
    .argument("<id>", "id of the allocation")
    .description("show one allocation with its permissions and channels")
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<RelayAccessOptions>();
      const allocation = await askRelay(options, (client) => client.get(id));
      print(options.json ? json({ allocation }) : details(allocation, Date.now()));
    });
  allocations
    .command("watch")
    .description("print what is there and every change, until it is stopped; with --json one object a line")
    .action(async (_options: unknown, command: Command) => {
      await watch(command.optsWithGlobals<FilterOptions>());
    });
  allocations
    .command("kill")
    .argument("<id>", "id of the allocation")
    .description("end an allocation, wherever it is")
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<RelayAccessOptions>();
      await askRelay(options, (client) => client.terminate(id));
      print(options.json ? json({ terminated: id }) : `ended ${id}\n`);
    });
}

function filterOf({ tenant, user, relay }: AllocationFilter): AllocationFilter {
  return {
    ...(tenant === undefined ? {} : { tenant }),
    ...(user === undefined ? {} : { user }),
    ...(relay === undefined ? {} : { relay }),
  };
}

function list(
  options: FilterOptions,
  limit: number,
): Promise<{ readonly allocations: readonly AllocationStatus[]; readonly more: boolean }> {
  return askRelay(options, async (client) => {
    const allocations: AllocationStatus[] = [];
    let after: string | undefined;
    do {
      const page = { limit: Math.min(PAGE, limit - allocations.length), ...(after === undefined ? {} : { after }) };
      const found = await client.list(filterOf(options), page);
      allocations.push(...found.allocations);
      after = found.next;
    } while (after !== undefined && allocations.length < limit);
    return { allocations, more: after !== undefined };
  });
}

async function watch(options: FilterOptions): Promise<void> {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, abort);
  // Who reads no more needs no more.
  process.stdout.on("error", abort);
  await askRelay(options, async (client) => {
    for await (const change of client.watch(filterOf(options), stop.signal)) {
      print(options.json ? `${JSON.stringify(change)}\n` : changeLines(change));
    }
    if (!stop.signal.aborted) throw new Error("the relay ended the watch");
  });
}

function relayTable(relays: readonly RelayStatus[]): string {
  const now = Date.now();
  const rows = relays.map(({ identity, state, allocations, capacity, startedAt, turn, slots }) => [
    shown(identity),
    state,
    String(allocations),
    capacity === 0 ? "-" : String(capacity),
    capacity === 0 ? "-" : `${Math.round((100 * allocations) / capacity)} %`,
    String(slots.length),
    duration(now - startedAt),
    turn.map(formatAddress).join(" ") || "-",
  ]);
  const head = ["RELAY", "STATE", "ALLOCATIONS", "CAPACITY", "LOAD", "SLOTS", "UP", "ADDRESSES"];
  return table(head, rows, new Set(["ALLOCATIONS", "CAPACITY", "LOAD", "SLOTS", "UP"]));
}

const HEAD = ["ID", "RELAY", "TENANT", "USER", "VIA", "CLIENT", "RELAYED", "AGE", "LEFT", "SENT", "RECEIVED"];

function allocationTable(allocations: readonly AllocationStatus[], now: number): string {
  const rows = allocations.map((allocation) => [
    allocation.id,
    shown(allocation.relay),
    shown(allocation.tenant),
    shown(allocation.user),
    allocation.transport,
    formatAddress(allocation.client),
    relayedText(allocation),
    duration(now - allocation.createdAt),
    duration(Math.max(0, ...allocation.relayed.map(({ expiresAt }) => expiresAt)) - now),
    size(allocation.traffic.bytesToPeers),
    size(allocation.traffic.bytesToClient),
  ]);
  return table(HEAD, rows, new Set(["AGE", "LEFT", "SENT", "RECEIVED"]));
}

const relayedText = ({ relayed }: AllocationStatus): string =>
  relayed.map(({ address }) => formatAddress(address)).join(" ") || "-";

function details(allocation: AllocationStatus, now: number): string {
  const { traffic } = allocation;
  const left = (expiresAt: number): string => duration(expiresAt - now);
  const rows = [
    ["allocation", allocation.id],
    ["relay", shown(allocation.relay)],
    ["tenant", shown(allocation.tenant)],
    ["user", shown(allocation.user)],
    ["username", shown(allocation.username)],
    ["key", shown(allocation.kid ?? "")],
    ["client", `${formatAddress(allocation.client)} over ${allocation.transport}`],
    ["age", duration(now - allocation.createdAt)],
    ["sent", `${size(traffic.bytesToPeers)} in ${traffic.packetsToPeers} packets`],
    ["received", `${size(traffic.bytesToClient)} in ${traffic.packetsToClient} packets`],
    ...allocation.relayed.flatMap(({ address, expiresAt, permissions, channels }) => [
      ["relayed", `${formatAddress(address)}, ${left(expiresAt)} left`],
      ...permissions.map((permission) => ["permission", `${permission.ip}, ${left(permission.expiresAt)} left`]),
      ...channels.map((channel) => [
        "channel",
        `0x${channel.number.toString(16)} to ${formatAddress(channel.peer)}, ${left(channel.expiresAt)} left`,
      ]),
    ]),
  ];
  return rows.map(([name = "", value = ""]) => `${name.padEnd(12)}${value}\n`).join("");
}

function changeLines(change: AllocationChange): string {
  if (change.type === "snapshot") return change.allocations.map((each) => changeLine("exists", each)).join("");
  return changeLine(change.type, change.allocation, change.type === "deleted" ? change.reason : "");
}

function changeLine(what: string, allocation: AllocationStatus, why = ""): string {
  const { id, relay, tenant, user, client, transport, traffic } = allocation;
  const words = [
    new Date().toISOString(),
    what.padEnd(9),
    id,
    shown(relay),
    `${shown(tenant)}/${shown(user)}`,
    `${transport} ${formatAddress(client)}`,
    relayedText(allocation),
    `sent ${size(traffic.bytesToPeers)}`,
    `received ${size(traffic.bytesToClient)}`,
    ...(why === "" ? [] : [`(${why})`]),
  ];
  return `${words.join("  ")}\n`;
}

const count = (allocations: number): string => `${allocations} ${allocations === 1 ? "allocation" : "allocations"}`;
const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
const print = (text: string): void => void process.stdout.write(text);
const note = (text: string): void => void process.stderr.write(`culvert: ${text}\n`);
