import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { readManifests } from "./manifests.ts";
import type { Manifest } from "./model.ts";
import { REPOSITORY, tool } from "./tools.ts";

export const CHART: string = join(REPOSITORY, "charts/culvert");
export const RELEASE = "culvert";
export const NAMESPACE = "voice";

/** The values files that stand for the ways to install the chart. */
export const VALUES_FILES: readonly string[] = readdirSync(join(CHART, "ci"))
  .filter((name) => name.endsWith("-values.yaml"))
  .sort();

export const valuesPath = (file: string): string => join(CHART, "ci", file);

export interface HelmResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function helm(args: readonly string[], options: { readonly input?: string } = {}): HelmResult {
  const { input = "" } = options;
  const { status, stdout, stderr } = spawnSync(tool("helm"), args, {
    input,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return { code: status, stdout, stderr };
}

export interface RenderOptions {
  /** A file of charts/culvert/ci. */
  readonly file?: string;
  /** More values, which win. */
  readonly values?: object;
  readonly args?: readonly string[];
  readonly namespace?: string;
}

export function template({ file, values = {}, args = [], namespace = NAMESPACE }: RenderOptions = {}): HelmResult {
  const files = [...(file === undefined ? [] : ["--values", valuesPath(file)]), "--values", "-"];
  return helm(["template", RELEASE, CHART, "--namespace", namespace, ...files, ...args], {
    input: JSON.stringify(values),
  });
}

/** What the chart makes of values. Throws helm's words when it refuses them. */
export function render(options: RenderOptions = {}): readonly Manifest[] {
  const { code, stdout, stderr } = template(options);
  if (code !== 0) throw new Error(stderr);
  return readManifests(stdout);
}
