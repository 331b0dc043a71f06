import { cpSync, existsSync, mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { run } from "../support/child.ts";
import { temporaryFolder } from "../support/cleanup.ts";
import { CULVERT } from "../support/repo.ts";

const ROOT = join(dirname(CULVERT), "../..");
const COMPILED = "libs/turn/tsconfig.tsbuildinfo";

/** The command as an image has it: without its packages, and with something else in the place of what was compiled. */
async function install(): Promise<string> {
  const folder = await temporaryFolder();
  for (const part of ["cli/bin", "cli/package.json", "cli/dist/bundle", "libs/telemetry/package.json"]) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true, preserveTimestamps: true });
  }
  writeFileSync(join(folder, "cli/dist/main.js"), `export const main = () => console.log("what was compiled");`);
  return folder;
}

async function help(folder: string): Promise<string> {
  const { stdout, stderr } = await run(
    process.execPath,
    [join(folder, CULVERT.slice(ROOT.length)), "relay", "--help"],
    {
      timeoutMs: 60_000,
    },
  );
  return stdout + stderr;
}

it("starts from a few files, which need no other packages", async () => {
  expect(existsSync(join(ROOT, "cli/dist/bundle/culvert.js")), "scripts/compile was run").toBe(true);
  const folder = await install();
  expect(await help(folder)).toMatch(/^Usage: relay \[--config FILE\]/);
});

it("starts from what was compiled after that", async () => {
  const folder = await install();
  const compiled = join(folder, COMPILED);
  mkdirSync(dirname(compiled), { recursive: true });
  writeFileSync(compiled, "{}");
  const before = new Date(0);
  utimesSync(compiled, before, before);
  expect(await help(folder)).toMatch(/^Usage: relay/);
  const after = new Date(Date.now() + 60_000);
  utimesSync(compiled, after, after);
  expect(await help(folder)).toBe("what was compiled\n");
});
