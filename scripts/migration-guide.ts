// Writes the table of coturn's options in docs/guides/migration.md from the importer's. With --check, fails when they differ.
import { readFileSync, writeFileSync } from "node:fs";
import { COTURN_OPTIONS, type CoturnOption } from "../cli/src/coturn/options.ts";

const GUIDE = new URL("../docs/guides/migration.md", import.meta.url);
const [BEGIN, END] = ["<!-- coturn: generated -->", "<!-- coturn: end -->"];

const FATES = { unneeded: "not needed", none: "no equivalent" } as const;

function row(name: string, { fate, keys, note }: CoturnOption): string {
  const becomes = fate === "taken" ? keys.map((key) => `\`${key}\``).join(", ") : FATES[fate];
  return `| \`${name}\` | ${becomes} | ${note.replaceAll("|", "\\|")} |`;
}

const rows = Object.entries(COTURN_OPTIONS).map(([name, option]) => row(name, option));
const table = ["| coturn | Culvert | |", "|---|---|---|", ...rows].join("\n");
const written = readFileSync(GUIDE, "utf8");
const [from, to] = [written.indexOf(BEGIN), written.indexOf(END)];
if (from < 0 || to < from) throw new Error(`docs/guides/migration.md lacks ${BEGIN} ... ${END}`);
const current = `${written.slice(0, from + BEGIN.length)}\n\n${table}\n\n${written.slice(to)}`;

if (!process.argv.includes("--check")) writeFileSync(GUIDE, current);
else if (current !== written) {
  console.error("docs/guides/migration.md is out of date: run 'make generate' and commit the result");
  process.exitCode = 1;
}
