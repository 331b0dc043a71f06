#!/usr/bin/env node
import { readFileSync, statSync } from "node:fs";
import module from "node:module";

/** All modules in a few files, which start much faster. */
const BUNDLE = new URL("../dist/bundle/", import.meta.url);

function changedAt(url) {
  return statSync(url, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Whether the bundle is there, and nothing was compiled after it. */
function isFresh() {
  const builtAt = changedAt(new URL("compiled.json", BUNDLE));
  if (builtAt === 0) return false;
  const compiled = JSON.parse(readFileSync(new URL("compiled.json", BUNDLE), "utf8"));
  return compiled.every((file) => changedAt(new URL(file, BUNDLE)) <= builtAt);
}

// From Node.js 22 on: machine code is kept for the next start, in NODE_COMPILE_CACHE or the temporary folder.
module.enableCompileCache?.();
const { main } = await import(isFresh() ? new URL("culvert.js", BUNDLE).href : "../dist/main.js");
await main(process.argv.slice(2));
