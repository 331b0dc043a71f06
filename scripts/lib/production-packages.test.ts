import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { productionPackages } from "./production-packages.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

describe("the packages that run", () => {
  it("are those that npm lists, and the workspaces that their links lead to", () => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
    const words = ["ls", "--package-lock-only", "--omit=dev", "--all", "--parseable", "--workspace=@culvert/cli"];
    const listed = execFileSync("npm", words, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const paths = listed.split("\n").map((path) => path.replace(ROOT.replace(/\/$/, ""), "").replace(/^\//, ""));
    const found = productionPackages(packages, "cli").map(({ path }) => path);
    const links = found.filter((path) => path.startsWith("node_modules/@culvert/"));
    expect(links.length).toBeGreaterThan(15);
    expect(found).toEqual(
      expect.arrayContaining(paths.filter((path) => path.includes("node_modules/") && !path.endsWith("/cli"))),
    );
    expect(found).not.toContain("node_modules/vitest");
    expect(found).not.toContain("node_modules/@culvert/testkit");
  });

  it("are found as Node.js finds them: the nearest first", () => {
    const packages = {
      a: { dependencies: { b: "*", c: "*" } },
      "node_modules/b": { dependencies: { c: "*" } },
      "node_modules/b/node_modules/c": {},
      "node_modules/c": { optionalDependencies: { gone: "*" }, peerDependencies: { d: "*" } },
      "node_modules/d": { resolved: "libs/d", link: true },
      "libs/d": { dependencies: { e: "*" } },
      "libs/d/node_modules/e": {},
      "node_modules/e": {},
      "node_modules/f": {},
    };
    expect(productionPackages(packages, "a")).toEqual([
      { path: "a" },
      { path: "libs/d" },
      { path: "libs/d/node_modules/e" },
      { path: "node_modules/b" },
      { path: "node_modules/b/node_modules/c" },
      { path: "node_modules/c" },
      { path: "node_modules/d", link: "libs/d" },
    ]);
  });

  it("are refused when one is missing", () => {
    expect(() => productionPackages({ a: { dependencies: { b: "*" } } }, "a")).toThrow(
      "package-lock.json: a needs b, which is not in it",
    );
  });
});
