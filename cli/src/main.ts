import { Command, CommanderError } from "commander";
import { issueCredentials } from "./api.ts";
import { type ApiAccessOptions, resolveApiAccess, withApiAccess } from "./api-access.ts";
import { addImportCoturn } from "./import-coturn.ts";
import { wholeNumber } from "./numbers.ts";
import { addPing } from "./ping-command.ts";
import { addAllocations, addRelays } from "./relays.ts";
import { SERVICES } from "./services.ts";

const VERSION = "0.1.0";

/**
 * The `culvert` command. `args` are the words after the command's name. Sets `process.exitCode`: 0 done, 1 the work failed,
 * 2 the words or the configuration are wrong.
 */
export async function main(args: readonly string[]): Promise<void> {
  const [word = "help", ...rest] = args;
  const service = SERVICES[word];
  if (service !== undefined) return service.run(rest);
  const program = new Command("culvert")
    .description("TURN, STUN, signaling and credentials: connects endpoints that NATs and firewalls keep apart")
    .version(VERSION)
    .exitOverride()
    .showSuggestionAfterError();
  for (const [name, { description }] of Object.entries(SERVICES)) program.command(name).description(description);
  addCredentials(program);
  addPing(program);
  addRelays(program);
  addAllocations(program);
  addImportCoturn(program);
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    process.stderr.write(`culvert: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

function addCredentials(program: Command): void {
  const credentials = program.command("credentials").description("TURN credentials");
  withApiAccess(credentials.command("issue"))
    .description("issue credentials; prints iceServers for RTCPeerConnection as JSON")
    .option("--user <id>", "the user they are for")
    .option("--ttl <seconds>", "lifetime", wholeNumber(1, 172_800), 3600)
    .action(async (options: ApiAccessOptions & { user?: string; ttl: number }) => {
      const iceServers = await issueCredentials(resolveApiAccess(options), {
        ttl: options.ttl,
        ...(options.user === undefined ? {} : { user: options.user }),
      });
      process.stdout.write(`${JSON.stringify({ iceServers }, null, 2)}\n`);
    });
}
