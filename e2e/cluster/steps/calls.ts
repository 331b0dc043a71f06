import { setTimeout as sleep } from "node:timers/promises";
import type { MediaReport } from "../../chaos/media/messages.ts";
import type { Figure } from "../../chaos/row.ts";
import { Media } from "../../chaos/support/media-process.ts";
import { accountIn, type Context } from "./step.ts";

export const CALLS = 5;
export const TURN_PORT = 3478;
/** Often enough that the steps see refreshes. */
const REFRESH_SECONDS = 2;

/** Calls of clients outside of the cluster by one relay, with peers outside as well. */
export interface Calls {
  readonly media: Media;
  readonly relayed: readonly string[];
}

/** Opens calls by relay `index`. */
export async function openCalls(context: Context, index: number, calls: number = CALLS): Promise<Calls> {
  const { cluster, scenario, names, stage } = context;
  const ip = await scenario.relayIp(cluster, names, index);
  const media = Media.start(stage, cluster.client.namespace);
  const { relayed } = await media.open({
    calls,
    servers: [`turn:${ip}:${TURN_PORT}`],
    ...accountIn(context),
    peerIp: cluster.client.ip,
    refreshEvery: REFRESH_SECONDS,
  });
  // What is counted begins when all of them flow.
  await sleep(1000);
  await media.mark();
  return { media, relayed };
}

/** How many of `clients` new ones that go to relay `index` are served, and by a relay at another address. */
export async function newcomers(
  context: Context,
  index: number,
  clients: number = CALLS,
): Promise<{ readonly refused: number; readonly elsewhere: number }> {
  const { cluster, scenario, names, stage } = context;
  const ip = await scenario.relayIp(cluster, names, index);
  const media = Media.start(stage, cluster.client.namespace);
  const { failures } = await media.tell({
    do: "open",
    calls: clients,
    servers: [`turn:${ip}:${TURN_PORT}`],
    ...accountIn(context),
    peerIp: cluster.client.ip,
  });
  const { servers } = await media.tell({ do: "relayed" });
  await media.tell({ do: "close", release: true });
  for (const failure of failures.slice(0, 2)) context.say(`a new client was refused: ${failure}`);
  return { refused: failures.length, elsewhere: servers.filter((server) => !server.startsWith(`${ip}:`)).length };
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
