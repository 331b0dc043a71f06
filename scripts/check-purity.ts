/**
 * The pure libraries know no platform: in each of them a file that names `process`, `Buffer`, a timer, a socket or the
 * DOM must not compile. This proves it by compiling such files with the library's own settings.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PURE = ["stun", "turn", "credentials", "fleet", "rendezvous"];

/** Each line must be an error of its own; the last file must compile, or the proof proves nothing. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  process: "export const x: unknown = process.env;",
  buffer: "export const x: unknown = Buffer.alloc(1);",
  timer: "export const x: unknown = setTimeout(() => {}, 1);",
  clock: "export const x: unknown = performance.now();",
  socket: 'import { createSocket } from "node:dgram";\nexport const x: unknown = createSocket;',
  crypto: 'import { randomBytes } from "node:crypto";\nexport const x: unknown = randomBytes;',
  dom: "export const x: unknown = document.body;",
  fetch: "export const x: unknown = fetch;",
};
const ALLOWED = "export const x: Uint8Array = new Uint8Array(1);";

let failures = 0;
for (const name of PURE) {
  const library = join("libs", name);
  const settings: { extends?: string } = JSON.parse(readFileSync(join(library, "tsconfig.json"), "utf8"));
  const folder = mkdtempSync(join(library, ".purity-"));
  try {
    for (const [file, text] of Object.entries({ ...FORBIDDEN, allowed: ALLOWED })) {
      writeFileSync(join(folder, `${file}.ts`), text);
    }
    // The library's own ambient declarations count too: they must not let a platform in.
    const ambient = readdirSync(join(library, "src"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".d.ts"))
      .map((path) => join("..", "src", path));
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: join("..", "tsconfig.json"),
        compilerOptions: { noEmit: true, composite: false, incremental: false, rootDir: ".." },
        include: [],
        files: [...ambient, ...Object.keys(FORBIDDEN).map((file) => `${file}.ts`), "allowed.ts"],
        references: [],
      }),
    );
    const result = spawnSync("node_modules/.bin/tsc", ["-p", join(folder, "tsconfig.json"), "--pretty", "false"], {
      encoding: "utf8",
    });
    for (const file of Object.keys(FORBIDDEN)) {
      if (result.stdout.includes(`${file}.ts(`)) continue;
      console.error(`${library} (${settings.extends}): a file that uses ${file} compiles`);
      failures += 1;
    }
    if (result.stdout.includes("allowed.ts(") || result.status === null) {
      console.error(`${library}: the harmless file does not compile:\n${result.stdout}${result.stderr}`);
      failures += 1;
    }
    const dependencies: { dependencies?: Record<string, string> } = JSON.parse(
      readFileSync(join(library, "package.json"), "utf8"),
    );
    for (const dependency of Object.keys(dependencies.dependencies ?? {})) {
      if (PURE.some((pure) => dependency === `@culvert/${pure}`) || dependency === "zod") continue;
      console.error(`${library}: depends on ${dependency}, which is not a pure library`);
      failures += 1;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
if (failures > 0) process.exit(1);
console.log(`${PURE.length} pure libraries, ${Object.keys(FORBIDDEN).length} forbidden things each`);
