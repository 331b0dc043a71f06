import { spawnSync } from "node:child_process";
import type { HelmResult } from "./helm.ts";
import { tool } from "./tools.ts";

interface Access {
  readonly kubeconfig: string;
}

/** Runs kubectl as the administrator. */
export function kubectl({ kubeconfig }: Access, args: readonly string[], input?: object | string): HelmResult {
  const { status, stdout, stderr } = spawnSync(tool("kubectl"), ["--kubeconfig", kubeconfig, ...args], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    ...(input === undefined ? {} : { input: typeof input === "string" ? input : JSON.stringify(input) }),
  });
  return { code: status, stdout, stderr };
}

/** The same, and its standard output. Throws what kubectl says when it fails. */
export function kubectlOutput(access: Access, args: readonly string[], input?: object): string {
  const { code, stdout, stderr } = kubectl(access, args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
  return stdout;
}
