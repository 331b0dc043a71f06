import { eventually } from "../../support/eventually.ts";
import type { Pod } from "../machine/cluster.ts";
import type { Context } from "./step.ts";

const POD_MS = 180_000;

export function isReady({ status, metadata }: Pod): boolean {
  const ready = status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;
  return ready && metadata.deletionTimestamp === undefined;
}

export function imageOf({ spec }: Pod): string {
  return spec.containers[0]?.image ?? "";
}

/** Times that containers of these pods were started again. */
export function restartsOf(pods: readonly Pod[]): number {
  return pods
    .flatMap(({ status }) => status.containerStatuses ?? [])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
}

export function podsOf({ cluster, names }: Context, component?: string): Promise<readonly Pod[]> {
  return cluster.pods(names.namespace, names.selector(component));
}

export function relayName({ names }: Context, index: number): string {
  return `${names.component("relay")}-${index}`;
}

/** Milliseconds until `holds` is true of the relay's pod; undefined when there is none. */
export async function untilRelay(
  context: Context,
  index: number,
  what: string,
  holds: (pod: Pod | undefined) => boolean,
): Promise<number> {
  const name = relayName(context, index);
  const start = performance.now();
  await eventually(
    `${name} ${what}`,
    async () => {
      const pod = (await podsOf(context, "relay")).find(({ metadata }) => metadata.name === name);
      if (!holds(pod)) throw new Error(`it is ${pod === undefined ? "gone" : JSON.stringify(pod.status)}`);
      return true;
    },
    POD_MS,
  );
  return performance.now() - start;
}
