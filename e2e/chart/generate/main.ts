// Writes charts/culvert/values.schema.json and README.md. With --check, fails when they differ.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { valueTables } from "./readme.ts";
import { readComments, uncommented } from "./values-comments.ts";
import { VALUES_SCHEMA } from "./values-schema.ts";

const CHART = new URL("../../../charts/culvert/", import.meta.url);
const INTRODUCTION = new URL("./readme.md", import.meta.url);
const MARK = "<!-- values -->";

const yaml = readFileSync(new URL("values.yaml", CHART), "utf8");
const comments = readComments(yaml);
const missing = uncommented(comments);
const introduction = readFileSync(INTRODUCTION, "utf8");

const written: Readonly<Record<string, string>> = {
  "values.schema.json": `${JSON.stringify(VALUES_SCHEMA, null, 2)}\n`,
  "README.md": introduction.replace(MARK, () => valueTables(yaml, comments, VALUES_SCHEMA)),
};

for (const name of missing) {
  console.error(`charts/culvert/values.yaml: ${name}: has no comment ('# -- ...' above it)`);
  process.exitCode = 1;
}
for (const [name, content] of Object.entries(written)) {
  const file = new URL(name, CHART);
  if (!process.argv.includes("--check")) writeFileSync(file, content);
  else if (!existsSync(file) || readFileSync(file, "utf8") !== content) {
    console.error(`charts/culvert/${name} is out of date: run 'make generate' and commit the result`);
    process.exitCode = 1;
  }
}
