import { fileURLToPath } from "node:url";
import { must } from "./must.ts";

const KUBE_TOOLS = fileURLToPath(new URL("../../../scripts/kube-tools", import.meta.url));

/** The folder in which `scripts/kube-tools` puts programs. */
export async function toolsFolder(): Promise<string> {
  const { CULVERT_TOOLS, XDG_CACHE_HOME } = process.env;
  const env = {
    ...(CULVERT_TOOLS === undefined ? {} : { CULVERT_TOOLS }),
    ...(XDG_CACHE_HOME === undefined ? {} : { XDG_CACHE_HOME }),
  };
  return (await must(KUBE_TOOLS, ["--dir"], { env })).trim();
}
