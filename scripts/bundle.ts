/**
 * Puts the compiled `culvert` command and all that it imports into a few files, `cli/dist/bundle`. A process reads nearly a
 * thousand modules otherwise before it does anything, and what a relay's calls notice of its restart begins with that.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { build, type Plugin } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const OUT = join(ROOT, "cli/dist/bundle");

/** Modules that find files beside themselves still find them there. */
const ownPlaces: Plugin = {
  name: "own-places",
  setup(build) {
    build.onLoad({ filter: /\/(libs|services|cli)\/[^/]+(\/[^/]+)*\/dist\/.*\.js$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      if (!text.includes("import.meta.url")) return undefined;
      const place = JSON.stringify(relative(OUT, path));
      return { contents: text.replaceAll("import.meta.url", `new URL(${place}, import.meta.url).href`) };
    });
  },
};

/** What packages of the older kind of modules expect to be there. */
const COMMONJS = `
import { createRequire as bundleRequire } from "node:module";
import { dirname as bundleDirname } from "node:path";
import { fileURLToPath as bundlePath } from "node:url";
const require = bundleRequire(import.meta.url);
const __filename = bundlePath(import.meta.url);
const __dirname = bundleDirname(__filename);
`;

process.chdir(ROOT);
rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const { metafile } = await build({
  entryPoints: { culvert: "cli/dist/main.js" },
  outdir: OUT,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  legalComments: "none",
  banner: { js: COMMONJS },
  plugins: [ownPlaces],
  logLevel: "warning",
  metafile: true,
});
// Who compiles a package writes this file of it; the command then knows that the bundle is old.
const packages = Object.keys(metafile.inputs).flatMap((file) => /^(.*?)\/dist\//.exec(file)?.[1] ?? []);
const own = [...new Set(packages)].filter((name) => !name.startsWith("node_modules/"));
const compiled = own.map((name) => relative(OUT, join(ROOT, name, "tsconfig.tsbuildinfo")));
writeFileSync(join(OUT, "compiled.json"), JSON.stringify(compiled.sort()));
