#!/usr/bin/env node
import { readFileSync, statSync } from "node:fs";
import module from "node:module";

/** All modules in a few files, which start much faster. */
const BUNDLE = new URL("../dist/bundle/", import.meta.url);

function changedAt(url) {
  return statSync(url, { throwIfNoEntry: false })?.mtimeMs ?? -1;
}

/** Whether the bundle is there, and nothing was compiled after it. In an image all files have one time. */
function isFresh() {
  const builtAt = changedAt(new URL("compiled.json", BUNDLE));
  if (builtAt < 0) return false;
  const compiled = JSON.parse(readFileSync(new URL("compiled.json", BUNDLE), "utf8"));
  return compiled.every((file) => changedAt(new URL(file, BUNDLE)) <= builtAt);
}

// From Node.js 22 on: compiled code is kept for the next start, in NODE_COMPILE_CACHE or the temporary folder. It is written at
// the end of a process otherwise, which a relay that is killed does not come to.
module.enableCompileCache?.();
setTimeout(() => module.flushCompileCache?.(), 10_000).unref();
const { main } = await import(isFresh() ? new URL("culvert.js", BUNDLE).href : "../dist/main.js");
await main(process.argv.slice(2));
