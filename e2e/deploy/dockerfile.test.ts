import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { validate } from "dockerfile-utils";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const text = readFileSync(join(ROOT, "deploy/Dockerfile"), "utf8");
/** Instructions without comments, each on one line. */
const instructions = text
  .replace(/\\\n/g, " ")
  .split("\n")
  .filter((line) => /^[A-Z]/.test(line));
const of = (name: string): readonly string[] =>
  instructions.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));

/** The patterns of .dockerignore: the last one that holds the path, or a folder that it is in, decides. */
const rules = readFileSync(join(ROOT, ".dockerignore"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const escaped = line.replace(/^!/, "").replace(/[.+^${}()|[\]]/g, "\\$&");
    const pattern = escaped.replace(/\*\*\/|\*/g, (star) => (star === "*" ? "[^/]*" : "(?:.*/)?"));
    return { kept: line.startsWith("!"), pattern: new RegExp(`^${pattern}(/.*)?$`) };
  });
const isInContext = (path: string): boolean =>
  rules.reduce((kept, rule) => (rule.pattern.test(path) ? rule.kept : kept), true);

describe("deploy/Dockerfile", () => {
  test("has no mistakes", () => {
    expect(validate(text).map(({ message, range }) => `${range.start.line + 1}: ${message}`)).toEqual([]);
  });

  test("copies from the context what is there, and from stages that it has", () => {
    const stages = of("FROM").flatMap((line) => / AS (\w+)$/.exec(line)?.[1] ?? []);
    expect(stages).toEqual(["addon", "app", "node"]);
    for (const line of of("COPY")) {
      const words = line.split(" ");
      const from = /^--from=(\w+)$/.exec(words[0] ?? "")?.[1];
      if (from !== undefined) expect(stages).toContain(from);
      else {
        for (const source of words.slice(0, -1).filter((word) => word !== ".")) {
          expect(existsSync(join(ROOT, source)), source).toBe(true);
          expect(isInContext(source), source).toBe(true);
        }
      }
    }
  });

  test("has each base at one version, and runs as nobody in particular", () => {
    const images = of("ARG").filter((line) => /^\w+_IMAGE=/.test(line));
    expect(images).toHaveLength(3);
    for (const image of images)
      expect(image).toMatch(
        /=(docker\.io\/library\/\w+:\d+\.\d+\.\d+-[\w-]+|gcr\.io\/distroless\/cc-debian12:nonroot)$/,
      );
    expect(instructions.slice(-4)).toEqual([
      "ENV NODE_ENV=production",
      "WORKDIR /app",
      "USER 65532:65532",
      'ENTRYPOINT ["node", "/app/cli/bin/culvert.js"]',
    ]);
  });
});

describe(".dockerignore", () => {
  test("leaves in what is compiled, and the manifest of every workspace", () => {
    const { workspaces }: { workspaces: string[] } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const folders = workspaces.flatMap((name) =>
      name.endsWith("/*")
        ? readdirSync(join(ROOT, name.slice(0, -2))).map((folder) => `${name.slice(0, -2)}/${folder}`)
        : [name],
    );
    expect(folders.length).toBeGreaterThan(20);
    for (const folder of folders) expect(isInContext(`${folder}/package.json`), folder).toBe(true);
    const configurations = readdirSync(ROOT).filter((name) => /^tsconfig.*\.json$/.test(name));
    expect(configurations.length).toBeGreaterThan(3);
    for (const path of configurations) expect(isInContext(path), path).toBe(true);
    for (const path of [
      "package-lock.json",
      "tsconfig.base.json",
      ".npmrc",
      "LICENSE",
      "cli/src/main.ts",
      "cli/bin/culvert.js",
    ]) {
      expect(isInContext(path), path).toBe(true);
    }
    for (const path of [
      "libs/turn/src/server.ts",
      "libs/dataplane/native/crates/fastpath/src/lib.rs",
      "scripts/image-root",
    ]) {
      expect(isInContext(path), path).toBe(true);
    }
  });

  test("leaves out what is built, tests, and secrets", () => {
    for (const path of [
      "cli/dist/main.js",
      "node_modules/zod/package.json",
      "target/release/x",
      "libs/stun/test/a.test.ts",
    ]) {
      expect(isInContext(path), path).toBe(false);
    }
    for (const path of ["deploy/.env", ".git/config", "libs/dataplane/native/fastpath.node", "docs/performance.md"]) {
      expect(isInContext(path), path).toBe(false);
    }
  });
});
