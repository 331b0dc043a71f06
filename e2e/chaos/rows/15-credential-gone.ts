import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { CredentialService } from "../support/credential-service.ts";
import { startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { lossless } from "./media-figures.ts";

export const credentialGone: Row = {
  row: 15,
  fault: "credential service gone",
  async run(stage, scale) {
    const credential = await CredentialService.start(stage);
    const { uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0", "relay-1"],
      config: { credential: credential.feed },
    });
    const media = Media.start(stage);
    await media.open({ calls: 20, servers: uris, ...(await credential.account("early")), peerIp, refreshEvery: 2 });
    // Issued while the service was there, used when it is not.
    const later = await credential.account("late");
    await media.mark();
    await credential.kill();
    await sleep(1000);
    const newcomers = Media.start(stage);
    const { failures } = await newcomers.tell({ do: "open", calls: 20, servers: uris, ...later, peerIp });
    await newcomers.mark();
    await sleep(scale === "full" ? 62_000 : 4000);
    const report = await media.report();
    const late = await newcomers.report();
    return [
      ...lossless(report),
      { what: "new allocations that failed", value: failures.length, unit: "allocations", atMost: 0 },
      { what: "media packets of new calls lost", value: late.lost, unit: "packets", atMost: 0 },
    ];
  },
};
