import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Notes the modules of some packages that a process loads, by a hook that is there before its program. */
export interface LoadedModules {
  /** For the environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** What was loaded until now, once each. */
  read(): Promise<readonly string[]>;
}

/** @param scope part of the modules' URLs, such as `/@opentelemetry/` */
export async function noteLoadedModules(folder: string, scope: string): Promise<LoadedModules> {
  const noted = join(folder, "modules.txt");
  const hooks = join(folder, "note-modules.mjs");
  const preload = join(folder, "preload.mjs");
  await writeFile(noted, "");
  await writeFile(
    hooks,
    `import { appendFileSync } from "node:fs";
export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  if (found.url.includes(${JSON.stringify(scope)})) appendFileSync(${JSON.stringify(noted)}, specifier + "\\n");
  return found;
}
// A bundle names, in comments, the modules that it is of.
export async function load(url, context, next) {
  const loaded = await next(url, context);
  for (const [, file] of String(loaded.source ?? "").matchAll(/^\\/\\/ \\S*?(node_modules\\/\\S+)$/gm)) {
    if (file.includes(${JSON.stringify(scope)})) appendFileSync(${JSON.stringify(noted)}, file + "\\n");
  }
  return loaded;
}
`,
  );
  await writeFile(
    preload,
    `import { register } from "node:module";\nregister(${JSON.stringify(pathToFileURL(hooks).href)});\n`,
  );
  return {
    env: { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` },
    read: async () => [...new Set((await readFile(noted, "utf8")).split("\n").filter((line) => line !== ""))].sort(),
  };
}
