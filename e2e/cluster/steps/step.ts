import type { Figure } from "../../chaos/row.ts";
import type { Stage } from "../../chaos/support/stage.ts";
import type { TurnAccount } from "../../support/account.ts";
import type { ApiAccess } from "../../support/api.ts";
import type { Cluster } from "../machine/cluster.ts";

/** One way to install the platform, and what is done with it. */
export interface Scenario {
  readonly name: string;
  /** Values of the chart on top of its defaults. */
  readonly values: object;
  /** Pod security standard that the namespace enforces. */
  readonly podSecurity: "privileged" | "baseline" | "restricted";
  /** How long a relay that is told to stop still takes new clients. */
  readonly preStopSeconds: number;
  /** Where clients reach relay `index`: address and port, as in a TURN URI. */
  relayAt(cluster: Cluster, names: Names, index: number): Promise<string>;
  /** Prepares the cluster, as its operator would before the installation. */
  prepare?(cluster: Cluster): Promise<void>;
}

/** Names of what the chart makes. */
export interface Names {
  readonly release: string;
  readonly namespace: string;
  component(name: string): string;
  selector(component?: string): string;
}

/** What the steps of a scenario share. */
export interface Context {
  readonly cluster: Cluster;
  readonly scenario: Scenario;
  readonly names: Names;
  readonly folder: string;
  /** Undone at the end of the step. */
  readonly stage: Stage;
  /** Found by the steps. */
  readonly found: { api?: ApiAccess; account?: TurnAccount; uris?: readonly string[] };
  say(what: string): void;
}

export interface Step {
  readonly name: string;
  run(context: Context): Promise<readonly Figure[]>;
}

export function namesOf(release: string, namespace: string): Names {
  const instance = `app.kubernetes.io/instance=${release}`;
  return {
    release,
    namespace,
    component: (name) => `${release}-${name}`,
    selector: (component) =>
      component === undefined ? instance : `${instance},app.kubernetes.io/component=${component}`,
  };
}

/** Seconds that `task` takes. */
export async function timed(task: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await task();
  return (performance.now() - start) / 1000;
}

export function accountIn({ found }: Context): TurnAccount {
  if (found.account === undefined) throw new Error("no credentials were issued");
  return found.account;
}

export function apiIn({ found }: Context): ApiAccess {
  if (found.api === undefined) throw new Error("the API was not found");
  return found.api;
}
