import { unwatchFile, watchFile } from "node:fs";

/**
 * Calls back when one of the files was written, replaced, made or removed. It looks at them instead of waiting for events:
 * a mounted Secret or ConfigMap changes by a link (`..data`) in the path of its files. Returns what ends it.
 *
 * @param intervalMs between two looks
 */
export function followFiles(files: readonly string[], intervalMs: number, onChange: () => void): () => void {
  const interval = Math.ceil(intervalMs);
  for (const file of files) watchFile(file, { interval, persistent: false }, onChange);
  return () => {
    for (const file of files) unwatchFile(file, onChange);
  };
}
