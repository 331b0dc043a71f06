import { type Command, Option } from "commander";
import type { ApiAccess } from "./api.ts";
import { readReadyFile } from "./ready-file.ts";
import { tokenOf } from "./token.ts";

/** Options of every command that asks the credential API. */
export interface ApiAccessOptions {
  readyFile?: string;
  apiUrl?: string;
  keyId?: string;
  token?: string;
  tokenFile?: string;
}

export function withApiAccess(command: Command): Command {
  return command
    .addOption(
      new Option("--ready-file <file>", "take what is missing from the file of 'culvert up'").env("CULVERT_READY_FILE"),
    )
    .addOption(new Option("--api-url <url>", "credential API").env("CULVERT_API_URL"))
    .addOption(new Option("--key-id <id>", "TURN key id").env("CULVERT_KEY_ID"))
    .addOption(new Option("--token <token>", "API token").env("CULVERT_API_TOKEN"))
    .addOption(new Option("--token-file <file>", "file with the API token").env("CULVERT_API_TOKEN_FILE"));
}

/** Throws an `Error` of one line for what is missing. */
export function resolveApiAccess(options: ApiAccessOptions): ApiAccess {
  const file = options.readyFile === undefined ? undefined : readReadyFile(options.readyFile);
  const apiUrl = options.apiUrl ?? file?.apiUrl;
  const keyId = options.keyId ?? file?.keyId;
  const token = tokenOf(options) ?? file?.token;
  if (apiUrl === undefined) throw new Error("--api-url: missing; give it, or --ready-file");
  if (keyId === undefined) throw new Error("--key-id: missing; give it, or --ready-file");
  if (token === undefined) throw new Error("--token: missing; give it, --token-file or --ready-file");
  return { apiUrl, keyId, token };
}
