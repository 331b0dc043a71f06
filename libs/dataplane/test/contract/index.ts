import { describe } from "vitest";
import { relaySockets } from "./binding.ts";
import { clientInput } from "./client-input.ts";
import { countersAndRates } from "./counters.ts";
import { listeners } from "./listeners.ts";
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
    relayTable(create);
    countersAndRates(create);
    streams(create);
    tlsListeners(create);
  });
}
