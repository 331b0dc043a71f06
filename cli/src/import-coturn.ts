import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { ConfigError, loadConfig } from "@culvert/config";
import { type Command, Option } from "commander";
import { culvertYaml, type Output } from "./coturn/culvert-yaml.ts";
import { helmValues } from "./coturn/helm-values.ts";
import { isIncomplete, problems, summary } from "./coturn/report.ts";
import { sectionsOf, type Translation, translateCoturn } from "./coturn/translate.ts";

interface ImportOptions {
  readonly format: "helm" | "culvert";
  readonly output?: string;
  readonly secrets?: string;
  readonly secretName: string;
}

/** Something that the file asks for is not in the result. */
const INCOMPLETE = 3;

/** Adds `import-coturn`. */
export function addImportCoturn(program: Command): void {
  program
    .command("import-coturn")
    .argument("<file>", "coturn's configuration, for example /etc/turnserver.conf; - for standard input")
    .description("write values for the Helm chart, or a culvert.yaml, from coturn's configuration")
    .addOption(new Option("--format <format>", "what to write").choices(["helm", "culvert"]).default("helm"))
    .option("--output <file>", "where to; standard output unless given")
    .option(
      "--secrets <file>",
      "where secrets go: of helm a Secret manifest, of culvert variables. Unless given, helm's go to standard output, culvert's are part of the file",
    )
    .option("--secret-name <name>", "name of the Secret, and of <name>-tls with the certificate", "culvert-coturn")
    .addHelpText(
      "after",
      "\nExit codes: 0 all is taken over or not needed; 1 nothing was written; 2 the words are wrong;\n" +
        `${INCOMPLETE} written, but settings that standard error names are not in it.`,
    )
    .action((file: string, options: ImportOptions) => importCoturn(file, options));
}

async function importCoturn(file: string, options: ImportOptions): Promise<void> {
  const translation = translateCoturn(read(file));
  const shown = file === "-" ? "turnserver.conf" : file;
  const output = render(translation, basename(shown), options);
  if (options.output === undefined) process.stdout.write(output.main);
  else write(options.output, output.main);
  if (output.secrets !== undefined) {
    if (options.secrets !== undefined) write(options.secrets, output.secrets);
    // With the values before it this is a second document.
    else process.stdout.write(`${options.output === undefined ? "---\n" : ""}${output.secrets}`);
  }
  for (const problem of problems(output.findings, shown)) process.stderr.write(`${problem}\n`);
  const refused = await refusal(translation);
  if (refused !== undefined) process.stderr.write(`not accepted as it is: ${refused}\n`);
  process.stderr.write(`${summary(output.findings)}\n`);
  if (refused !== undefined || isIncomplete(output.findings)) process.exitCode = INCOMPLETE;
}

/** What the services themselves say against the result. Coturn takes some combinations that they do not. */
async function refusal({ entries }: Translation): Promise<string | undefined> {
  const sections = sectionsOf(entries);
  const { relayConfigSchema } = await import("@culvert/relay-service");
  const { stunConfigSchema } = await import("@culvert/stun-service");
  try {
    loadConfig(relayConfigSchema, { section: "relay", env: {}, overrides: { ...Object(sections.relay) } });
    loadConfig(stunConfigSchema, { section: "stun", env: {}, overrides: { ...Object(sections.stun) } });
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

function render(translation: Translation, file: string, options: ImportOptions): Output {
  return options.format === "helm"
    ? helmValues(translation, file, options.secretName)
    : culvertYaml(translation, file, options.secrets !== undefined);
}

function read(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new Error(`${file}: cannot be read (${reason(error)})`);
  }
}

/** Only its owner reads it: it may hold secrets. */
function write(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600 });
    chmodSync(file, 0o600);
  } catch (error) {
    throw new Error(`${file}: cannot be written (${reason(error)})`);
  }
}

function reason(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
