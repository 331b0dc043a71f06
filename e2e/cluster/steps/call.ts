import { setTimeout as sleep } from "node:timers/promises";
import { openCalls, reportOf, undisturbed } from "./calls.ts";
import type { Step } from "./step.ts";

const TALK_MS = 6000;
const OUTSIDE = /^turn:10\.77\.0\.\d+:\d+\?transport=udp$/;

/** Calls from outside of the cluster, by its relay, to peers outside. */
export const call: Step = {
  name: "relayed call from outside",
  async run(context) {
    // As the API names them, where those names lead in from outside; a URI with a name of the cluster's does not.
    const uris = context.found.uris?.filter((uri) => OUTSIDE.test(uri));
    const calls = await openCalls(context, 0, uris?.length === 0 ? undefined : uris);
    context.say(`relayed addresses: ${calls.relayed.join(", ")}`);
    await sleep(TALK_MS);
    const report = await reportOf(calls);
    await calls.media.tell({ do: "close", release: true });
    return undisturbed("calls", report);
  },
};
