import { setTimeout as sleep } from "node:timers/promises";
import { CALLS, newcomers, openCalls, reportOf, undisturbed } from "./calls.ts";
import { isReady, relayName, untilRelay } from "./pods.ts";
import { type Context, type Step, timed } from "./step.ts";

const TALK_MS = 4000;
/** Relays hear of each other by heartbeats. */
const ACQUAINTED_MS = 3000;

function scaleTo({ cluster, names }: Context, replicas: number): Promise<string> {
  const name = `statefulset/${names.component("relay")}`;
  return cluster.kubectl(["-n", names.namespace, "scale", name, `--replicas=${replicas}`]);
}

/** A second relay comes while the first one has calls. */
export const scaleOut: Step = {
  name: "kubectl scale up",
  async run(context) {
    const first = await openCalls(context, 0);
    const seconds = await timed(async () => {
      await scaleTo(context, 2);
      await untilRelay(context, 1, "is ready", (pod) => pod !== undefined && isReady(pod));
    });
    const second = await openCalls(context, 1);
    await sleep(TALK_MS);
    const reports = [await reportOf(first), await reportOf(second)] as const;
    await first.media.tell({ do: "close", release: true });
    await second.media.tell({ do: "close", release: true });
    return [
      { what: "until the second relay was ready", value: seconds, unit: "s" },
      ...undisturbed("calls of the first relay", reports[0]),
      ...undisturbed("calls of the second relay", reports[1]),
    ];
  },
};

/** The second relay goes while it has calls: they go on until they end, and new clients are sent to the first. */
export const scaleIn: Step = {
  name: "scale-in with drain",
  async run(context) {
    const stays = await openCalls(context, 0);
    const goes = await openCalls(context, 1);
    await sleep(ACQUAINTED_MS);
    await scaleTo(context, 1);
    const told = await untilRelay(
      context,
      1,
      "is told to stop",
      (pod) => pod?.metadata.deletionTimestamp !== undefined,
    );
    context.say(`${relayName(context, 1)} was told to stop after ${told.toFixed(0)} ms`);
    await sleep(context.scenario.preStopSeconds * 1000 + ACQUAINTED_MS);
    const fresh = await newcomers(context, 1);
    await sleep(TALK_MS);
    const reports = [await reportOf(stays), await reportOf(goes)] as const;
    const start = performance.now();
    await goes.media.tell({ do: "close", release: true });
    await untilRelay(context, 1, "is gone", (pod) => pod === undefined);
    const gone = (performance.now() - start) / 1000;
    await stays.media.tell({ do: "close", release: true });
    return [
      ...undisturbed("calls of the relay that goes", reports[1]),
      ...undisturbed("calls of the relay that stays", reports[0]),
      { what: "new clients that were refused", value: fresh.refused, unit: "clients", atMost: 0 },
      { what: "new clients sent to the other relay", value: fresh.elsewhere, unit: "clients", atLeast: CALLS },
      { what: "from the last call's end to the pod's", value: gone, unit: "s", atMost: 30 },
    ];
  },
};
