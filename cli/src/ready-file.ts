import { readFileSync } from "node:fs";
import { z } from "zod";

/** What `culvert up --ready-file` writes once the platform serves, as far as the command needs it. */
export interface ReadyFile {
  readonly apiUrl: string;
  readonly keyId: string;
  readonly token: string;
  /** The gRPC listener of the relay, with the token of its operators. */
  readonly admin?: { readonly endpoint: string; readonly token?: string };
}

const schema: z.ZodType<ReadyFile> = z.object({
  apiUrl: z.string(),
  keyId: z.string(),
  token: z.string(),
  admin: z.object({ endpoint: z.string(), token: z.string().exactOptional() }).exactOptional(),
});

/** Reads such a file. Throws a one-line `Error` that names the file. */
export function readReadyFile(path: string): ReadyFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`${path}: cannot be read (${error instanceof Error ? error.message : String(error)})`);
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new Error(`${path}: is not a file that 'culvert up --ready-file' wrote`);
  }
}
