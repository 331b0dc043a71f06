import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const MODULE = new URL("../src/run-folder.ts", import.meta.url).href;

function parentFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), "culvert-parent-"));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  return parent;
}

/** Runs a program that uses a run's folder, with `TMPDIR` there at first. */
function program(parent: string, code: string): readonly [string, readonly string[], { env: NodeJS.ProcessEnv }] {
  const words = ["--import", "tsx", "--input-type=module", "--eval"];
  const text = `import { useRunFolder } from ${JSON.stringify(MODULE)}; useRunFolder(); ${code}`;
  return [process.execPath, [...words, text], { env: { ...process.env, TMPDIR: parent } }];
}

/** The folders of runs, without what tsx keeps. */
const runs = (parent: string): string[] => readdirSync(parent).filter((name) => name.startsWith("culvert-run-"));

const LEAVE = `const { mkdtempSync } = await import("node:fs"); const { tmpdir } = await import("node:os");
  mkdtempSync(tmpdir() + "/left-"); process.stdout.write(tmpdir());`;

test("what a run leaves behind ends with it", () => {
  const parent = parentFolder();
  const folder = execFileSync(...program(parent, LEAVE)).toString();
  expect(folder.startsWith(join(parent, "culvert-run-"))).toBe(true);
  expect(runs(parent)).toEqual([]);
});

test("what a killed run leaves behind ends with the next one; that of one that lives stays", async () => {
  const parent = parentFolder();
  const killed = promisify(execFile)(...program(parent, `${LEAVE} process.kill(process.pid, "SIGKILL");`));
  await expect(killed).rejects.toMatchObject({ signal: "SIGKILL" });
  expect(runs(parent)).toHaveLength(1);
  const alive = join(parent, `culvert-run-${process.pid}-abcdef`);
  mkdirSync(alive);
  execFileSync(...program(parent, ""));
  expect(existsSync(alive)).toBe(true);
  expect(runs(parent)).toHaveLength(1);
});

test("a run within a run uses the same folder", () => {
  const parent = join(parentFolder(), "culvert-run-1-abcdef");
  mkdirSync(parent);
  expect(execFileSync(...program(parent, LEAVE)).toString()).toBe(parent);
});
