import { readFileSync } from "node:fs";

/** The token of `--token` or of the file of `--token-file`. Throws an `Error` of one line for both, or for a file that cannot be read. */
export function tokenOf({
  token,
  tokenFile,
}: {
  readonly token?: string;
  readonly tokenFile?: string;
}): string | undefined {
  if (tokenFile === undefined) return token;
  if (token !== undefined) throw new Error("--token, --token-file: only one of the two may be given");
  try {
    return readFileSync(tokenFile, "utf8").trim();
  } catch (error) {
    throw new Error(
      `--token-file: ${tokenFile}: cannot be read (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}
