/** Copies the production tree of the command, as package-lock.json has it, into the directory that is named: see scripts/image-root. */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { productionPackages } from "./lib/production-packages.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** The command: all services are reached through it. */
const ENTRY = "cli";
/** Of ours, what runs. */
const OWN = ["package.json", "bin", "dist"];
/** Of others' packages: Node.js loads no TypeScript there, and nothing reads source maps. */
const USELESS = /\.(d\.[cm]?ts|[cm]?ts|tsx|map|tsbuildinfo)$/;

const [target = ""] = process.argv.slice(2);
const lock: { packages: Record<string, Record<string, unknown>> } = JSON.parse(
  readFileSync(join(ROOT, "package-lock.json"), "utf8"),
);

const files = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return entry.isFile() ? [path] : [];
    return entry.name === "node_modules" ? [] : files(path);
  });

function copy(path: string): void {
  const to = join(target, relative(ROOT, path));
  mkdirSync(dirname(to), { recursive: true });
  cpSync(path, to);
}

const BUNDLE = join(ROOT, "cli/dist/bundle");
const bundleIsFresh = isFresh();

/** Whether nothing was compiled after the bundle. The tree cannot tell: its files have one time. */
function isFresh(): boolean {
  const made = statSync(join(BUNDLE, "compiled.json"), { throwIfNoEntry: false })?.mtimeMs;
  if (made === undefined) return false;
  const compiled: string[] = JSON.parse(readFileSync(join(BUNDLE, "compiled.json"), "utf8"));
  return compiled.every((file) => (statSync(join(BUNDLE, file), { throwIfNoEntry: false })?.mtimeMs ?? 0) <= made);
}

/** Whether it is of a file that is still there. */
function hasSource(path: string): boolean {
  if (path.startsWith(`${BUNDLE}/`)) return bundleIsFresh;
  return !path.includes("/dist/") || existsSync(path.replace("/dist/", "/src/").replace(/\.js$/, ".ts"));
}

const production = productionPackages(lock.packages, ENTRY);
for (const { path, link } of production) {
  const folder = join(ROOT, path);
  if (link !== undefined) {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    symlinkSync(relative(dirname(path), link), join(target, path));
  } else if (path.includes("node_modules/")) {
    for (const file of files(folder)) if (!USELESS.test(file)) copy(file);
  } else {
    for (const name of OWN) {
      const own = join(folder, name);
      if (!existsSync(own)) continue;
      const all = own.endsWith("/dist") || own.endsWith("/bin") ? files(own) : [own];
      for (const file of all) if (!USELESS.test(file) && hasSource(file)) copy(file);
    }
  }
}
copy(join(ROOT, "LICENSE"));
writeComponents();

/** The list of what is in the tree, by npm itself: of that part of the lock file. */
function writeComponents(): void {
  const { name, version, license } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const isWorkspace = ({ path }: { path: string }): boolean => !path.includes("node_modules/");
  const root = { name, version, license, workspaces: production.filter(isWorkspace).map(({ path }) => path) };
  const packages = production.map(({ path }) => {
    const { devDependencies: _, dev: __, ...entry } = lock.packages[path] ?? {};
    return [path, entry] as const;
  });
  const part = {
    name,
    version,
    lockfileVersion: 3,
    requires: true,
    packages: { "": root, ...Object.fromEntries(packages) },
  };
  const folder = mkdtempSync(join(tmpdir(), "culvert-sbom-"));
  writeFileSync(join(folder, "package.json"), JSON.stringify(root));
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify(part));
  const words = [
    "sbom",
    "--package-lock-only",
    "--sbom-format=cyclonedx",
    "--sbom-type=application",
    "--loglevel=error",
  ];
  const made = spawnSync("npm", words, { cwd: folder, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  rmSync(folder, { recursive: true });
  if (made.status !== 0) throw new Error(`npm sbom failed:\n${made.stderr}`);
  const { serialNumber: _, ...list } = JSON.parse(made.stdout);
  // The same tree gives the same list.
  list.metadata.timestamp = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000).toISOString();
  list.metadata.component.name = name;
  mkdirSync(join(target, "sbom"));
  writeFileSync(join(target, "sbom", "npm.cdx.json"), `${JSON.stringify(list, null, 1)}\n`);
}
