import { describe } from "vitest";
import { relaySockets } from "./binding.ts";
import { clientInput } from "./client-input.ts";
import { countersAndRates } from "./counters.ts";
import { ipHeaders } from "./ip-header.ts";
import { leases } from "./leases.ts";
import { listeners } from "./listeners.ts";
import { meshForwarding } from "./mesh.ts";
import { meshAttacks } from "./mesh-attacks.ts";
import { meshPeerSide } from "./mesh-peer-side.ts";
import { streams } from "./streams.ts";
import { relayTable } from "./table.ts";
import { tlsListeners } from "./tls.ts";
import { udpRelaying } from "./udp-relaying.ts";
import type { CreateHarness } from "./world.ts";

/** What every data plane does, seen from its sockets. */
export function describeDataPlaneContract(name: string, create: CreateHarness): void {
  describe(`${name} data plane`, () => {
    listeners(create);
    relaySockets(create);
    clientInput(create);
    udpRelaying(create);
    ipHeaders(create);
    relayTable(create);
    countersAndRates(create);
    streams(create);
    tlsListeners(create);
  });
}

/** What every data plane does as a member of a fleet, with edges of the same kind. */
export function describeFleetContract(name: string, create: CreateHarness): void {
  describe(`${name} data plane in a fleet`, () => {
    leases(create);
    meshForwarding(create, create);
    meshAttacks(create);
    meshPeerSide(create);
  });
}
