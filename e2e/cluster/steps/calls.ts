import { setTimeout as sleep } from "node:timers/promises";
import type { MediaReport } from "../../chaos/media/messages.ts";
import type { Figure } from "../../chaos/row.ts";
import { Media } from "../../chaos/support/media-process.ts";
import { accountIn, type Context } from "./step.ts";

export const CALLS = 5;
/** Often enough that the steps see refreshes. */
const REFRESH_SECONDS = 2;
const SETTLE_MS = 2500;

/** Calls of clients outside of the cluster by one relay, with peers outside as well. */
export interface Calls {
  readonly media: Media;
  readonly relayed: readonly string[];
}

/** Opens calls by relay `index`, or by the servers of `uris`. */
export async function openCalls(context: Context, index: number, uris?: readonly string[]): Promise<Calls> {
  const { cluster, scenario, names, stage } = context;
  const servers = uris ?? [`turn:${await scenario.relayAt(cluster, names, index)}`];
  const media = Media.start(stage, cluster.client.namespace);
  const { relayed } = await media.open({
    calls: CALLS,
    servers,
    ...accountIn(context),
    peerIp: cluster.client.ip,
    refreshEvery: REFRESH_SECONDS,
  });
  // What is counted begins when all of them flow.
  await sleep(1000);
  await media.mark();
  return { media, relayed };
}

/** How many new clients that go to relay `index` are refused, and how many end up at another one. */
export async function newcomers(
  context: Context,
  index: number,
): Promise<{ readonly refused: number; readonly elsewhere: number }> {
  const { cluster, scenario, names, stage } = context;
  const at = await scenario.relayAt(cluster, names, index);
  const media = Media.start(stage, cluster.client.namespace);
  const { failures } = await media.tell({
    do: "open",
    calls: CALLS,
    servers: [`turn:${at}`],
    ...accountIn(context),
    peerIp: cluster.client.ip,
  });
  const { servers } = await media.tell({ do: "relayed" });
  await media.tell({ do: "close", release: true });
  for (const failure of failures.slice(0, 2)) context.say(`a new client was refused: ${failure}`);
  return { refused: failures.length, elsewhere: servers.filter((server) => server !== at).length };
}

/** The figures of calls. What is under way is waited for, also where the machine has more to do than it can: late is not lost. */
export function reportOf({ media }: Calls): Promise<MediaReport> {
  return media.report(SETTLE_MS);
}

/** What has to hold of calls that nothing may disturb. */
export function undisturbed(who: string, report: MediaReport): readonly Figure[] {
  return [
    { what: `${who}: packets lost`, value: report.lost, unit: "packets", atMost: 0 },
    { what: `${who}: packets sent`, value: report.sent, unit: "packets", atLeast: 1 },
    { what: `${who}: longest silence`, value: report.maxGapMs, unit: "ms" },
    {
      what: `${who}: packets twice or out of order`,
      value: report.duplicates + report.reordered,
      unit: "packets",
      atMost: 0,
    },
    { what: `${who}: calls silent at the end`, value: report.silentCalls, unit: "calls", atMost: 0 },
    { what: `${who}: refreshes that failed`, value: report.refreshFailures.length, unit: "refreshes", atMost: 0 },
    { what: `${who}: refreshes`, value: report.refreshes, unit: "refreshes", atLeast: 1 },
  ];
}
