import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { CredentialService } from "../support/credential-service.ts";
import { startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { lossless } from "./media-figures.ts";

export const keyRotation: Row = {
  row: 17,
  fault: "key rotation in mid-call",
  async run(stage, scale) {
    const credential = await CredentialService.start(stage);
    const { uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0", "relay-1"],
      config: { credential: credential.feed },
    });
    const media = Media.start(stage);
    await media.open({ calls: 20, servers: uris, ...(await credential.account("old")), peerIp, refreshEvery: 1 });
    const unused = await credential.account("unused");
    await media.mark();
    const failures: string[] = [];
    for (const user of ["second", "third"]) {
      await credential.rotate();
      const newcomers = Media.start(stage);
      const fresh = await credential.account(user);
      for (const account of [fresh, unused]) {
        const one = await newcomers.tell({ do: "storm", ...STORM, servers: uris, ...account });
        failures.push(...Object.keys(one.refused));
      }
      await sleep(scale === "full" ? 20_000 : 2000);
    }
    const report = await media.report();
    return [
      ...lossless(report),
      { what: "new allocations refused, by either key", value: failures.length, unit: "causes", atMost: 0 },
    ];
  },
};

const STORM = { clients: 10, parallel: 5, timeoutMs: 5000 } as const;
