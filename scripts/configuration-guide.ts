// Writes the tables of docs/guides/configuration.md from the services' schemas. With --check, fails when they differ.
import { readFileSync, writeFileSync } from "node:fs";
import { configReference } from "@culvert/config";
import { credentialConfigSchema } from "@culvert/credential-service";
import { relayConfigSchema } from "@culvert/relay-service";
import { signalingConfigSchema } from "@culvert/signaling-service";
import { stunConfigSchema } from "@culvert/stun-service";

const GUIDE = new URL("../docs/guides/configuration.md", import.meta.url);

const SCHEMAS: Readonly<Record<string, Parameters<typeof configReference>[1]>> = {
  relay: relayConfigSchema,
  stun: stunConfigSchema,
  credential: credentialConfigSchema,
  signaling: signalingConfigSchema,
};

const written = readFileSync(GUIDE, "utf8");
const current = Object.entries(SCHEMAS).reduce((text, [section, schema]) => {
  const [begin, end] = [`<!-- ${section}: generated -->`, `<!-- ${section}: end -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/guides/configuration.md lacks ${begin} ... ${end}`);
  return `${text.slice(0, from + begin.length)}\n\n${configReference(section, schema)}\n\n${text.slice(to)}`;
}, written);

if (!process.argv.includes("--check")) writeFileSync(GUIDE, current);
else if (current !== written) {
  console.error("docs/guides/configuration.md is out of date: run 'make generate' and commit the result");
  process.exitCode = 1;
}
