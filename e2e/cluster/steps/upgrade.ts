import { setTimeout as sleep } from "node:timers/promises";
import type { Figure } from "../../chaos/row.ts";
import { CULVERT_TAGS, IMAGES } from "../images/names.ts";
import { pollFrom } from "../outside/application.ts";
import { CALLS, newcomers, openCalls, reportOf, undisturbed } from "./calls.ts";
import { CHART, valuesFile } from "./install.ts";
import { imageOf, isReady, podsOf, relayName, restartsOf, untilRelay } from "./pods.ts";
import { apiIn, type Context, type Step } from "./step.ts";

const TALK_MS = 5000;
const ACQUAINTED_MS = 3000;
const ROLLOUT_SECONDS = 180;
const RELAYS = 2;

/** `helm upgrade` to another image: every pod is replaced, one relay after the other, each with calls that go on until they end. */
export const rollingUpgrade: Step = {
  name: "rolling upgrade under live calls",
  async run(context) {
    const { cluster, names, stage } = context;
    const calls = [await openCalls(context, 0), await openCalls(context, 1)] as const;
    const endPoll = pollFrom(stage, cluster.client, apiIn(context));
    await sleep(ACQUAINTED_MS);
    await upgrade(context);
    const figures: Figure[] = [];
    // A StatefulSet replaces the last one first.
    for (let index = RELAYS - 1; index >= 0; index--) {
      const relay = `relay-${index}`;
      await untilRelay(context, index, "is told to stop", (pod) => pod?.metadata.deletionTimestamp !== undefined);
      await sleep(context.scenario.preStopSeconds * 1000 + ACQUAINTED_MS);
      const fresh = await newcomers(context, index);
      await sleep(TALK_MS);
      const those = calls[index];
      if (those === undefined) throw new Error(`no calls of ${relayName(context, index)}`);
      const report = await reportOf(those);
      const start = performance.now();
      await those.media.tell({ do: "close", release: true });
      await untilRelay(context, index, "is ready with the new image", (pod) => {
        return pod !== undefined && isReady(pod) && imageOf(pod) === newImage();
      });
      figures.push(
        ...undisturbed(`calls of ${relay}`, report),
        { what: `new clients of ${relay} that were refused`, value: fresh.refused, unit: "clients", atMost: 0 },
        { what: `new clients of ${relay} sent to the other`, value: fresh.elsewhere, unit: "clients", atLeast: CALLS },
        {
          what: `from the end of ${relay}'s calls until its successor was ready`,
          value: (performance.now() - start) / 1000,
          unit: "s",
        },
      );
    }
    for (const kind of ["deployment/credential", "deployment/signaling", "statefulset/stun", "statefulset/relay"]) {
      const name = kind.replace("/", `/${names.release}-`);
      const args = ["-n", names.namespace, "rollout", "status", name, `--timeout=${ROLLOUT_SECONDS}s`];
      await cluster.kubectl(args, { timeoutMs: (ROLLOUT_SECONDS + 5) * 1000 });
    }
    const poll = await endPoll();
    for (const failure of [...poll.repeated, ...poll.failures].slice(0, 3)) context.say(`the API: ${failure}`);
    const pods = (await podsOf(context)).filter((pod) => imageOf(pod).startsWith(IMAGES.culvert));
    const running = pods.filter(({ status }) => status.phase === "Running");
    return [
      ...figures,
      { what: "requests to the API meanwhile", value: poll.requests, unit: "requests", atLeast: 1 },
      { what: "requests to the API that were repeated", value: poll.repeated.length, unit: "requests" },
      { what: "requests to the API that failed", value: poll.failures.length, unit: "requests", atMost: 0 },
      {
        what: "pods that still have the former image",
        value: running.filter((pod) => imageOf(pod) !== newImage()).length,
        unit: "pods",
        atMost: 0,
      },
      { what: "containers started again", value: restartsOf(pods), unit: "times", atMost: 0 },
    ];
  },
};

function newImage(): string {
  return `${IMAGES.culvert}:${CULVERT_TAGS.second}`;
}

async function upgrade(context: Context): Promise<void> {
  const { cluster, names } = context;
  const set = ["--set", `image.tag=${CULVERT_TAGS.second}`, "--set", `relay.replicas=${RELAYS}`];
  await cluster.helm(["upgrade", names.release, CHART, "-n", names.namespace, "-f", await valuesFile(context), ...set]);
}
