import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../../chaos/support/namespaces.ts";
import type { Stage } from "../../chaos/support/stage.ts";
import type { ClusterApi, KubeObject } from "./api.ts";
import type { Pod } from "./cluster.ts";
import { must } from "./must.ts";
import { type NetworkPolicy, policyRules, type World } from "./policy-rules.ts";

const LOOK_MS = 300;

/** Enforces NetworkPolicies on the nodes, which the bridge plugin alone does not. */
export class PolicyEnforcer {
  readonly #api: ClusterApi;
  readonly #nodes: ReadonlyMap<string, Host>;
  readonly #folder: string;
  readonly #applied = new Map<string, string>();
  #stopped = false;
  #failure = "";

  /** @param folder of the rules as they were last applied */
  static start(stage: Stage, api: ClusterApi, nodes: ReadonlyMap<string, Host>, folder: string): PolicyEnforcer {
    const enforcer = new PolicyEnforcer(api, nodes, folder);
    const done = enforcer.#run();
    stage.atEnd(() => {
      enforcer.#stopped = true;
      return done;
    });
    return enforcer;
  }

  private constructor(api: ClusterApi, nodes: ReadonlyMap<string, Host>, folder: string) {
    this.#api = api;
    this.#nodes = nodes;
    this.#folder = folder;
  }

  /** What went wrong last; nothing when all went well. */
  get failure(): string {
    return this.#failure;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#look();
        this.#failure = "";
      } catch (error) {
        this.#failure = String(error);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async #look(): Promise<void> {
    const [policies, pods, namespaces] = await Promise.all([
      this.#api.list<NetworkPolicy>("/apis/networking.k8s.io/v1/networkpolicies"),
      this.#api.list<Pod>("/api/v1/pods"),
      this.#api.list<KubeObject>("/api/v1/namespaces"),
    ]);
    const world: World = { policies, pods, namespaces };
    for (const [node, host] of this.#nodes) {
      const rules = policyRules(world, node);
      if (this.#applied.get(node) === rules) continue;
      const file = join(this.#folder, `${node}.policies.nft`);
      await writeFile(file, rules);
      await must("ip", ["netns", "exec", host.namespace, "nft", "-f", file]);
      this.#applied.set(node, rules);
    }
  }
}
