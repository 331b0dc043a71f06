import { type ChildOptions, run } from "../../support/child.ts";

/** Runs a command to its end and returns what it wrote to stdout. Fails, with all that it wrote, when it fails. */
export async function must(
  file: string,
  args: readonly string[],
  options: ChildOptions & { readonly timeoutMs?: number } = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, { timeoutMs: 60_000, ...options });
  if (code !== 0) throw new Error(`${[file, ...args].join(" ")}: ended with ${code}\n${stdout}${stderr}`.trim());
  return stdout;
}
