import { setTimeout as sleep } from "node:timers/promises";
import { openCalls, undisturbed } from "./calls.ts";
import type { Step } from "./step.ts";

const TALK_MS = 6000;

/** Calls from outside of the cluster, by its relay, to peers outside. */
export const call: Step = {
  name: "relayed call from outside",
  async run(context) {
    const { media, relayed } = await openCalls(context, 0);
    context.say(`relayed addresses: ${relayed.join(", ")}`);
    await sleep(TALK_MS);
    const report = await media.report();
    await media.tell({ do: "close", release: true });
    return undisturbed("calls", report);
  },
};
