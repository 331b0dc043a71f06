import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A Secret or ConfigMap as the kubelet mounts it: files are links into `..data`, which is a link to a folder. */
export interface MountedVolume {
  readonly path: string;
  /** Where a file is. */
  file(name: string): string;
  /** Changes files, all at once, as the kubelet does: by a new folder and another `..data`. The other files stay. */
  swap(files: Readonly<Record<string, string>>): void;
  dispose(): void;
}

export function mountVolume(files: Readonly<Record<string, string>>): MountedVolume {
  const path = mkdtempSync(join(tmpdir(), "culvert-volume-"));
  let content: Readonly<Record<string, string>> = {};
  let version = 0;
  let folder: string | undefined;
  const names = new Set<string>();
  const volume: MountedVolume = {
    path,
    file: (name) => join(path, name),
    swap(changes) {
      content = { ...content, ...changes };
      const before = folder;
      folder = `..2026_01_01_00_00_00.${++version}`;
      mkdirSync(join(path, folder));
      for (const [name, text] of Object.entries(content)) writeFileSync(join(path, folder, name), text);
      symlinkSync(folder, join(path, "..data_tmp"));
      renameSync(join(path, "..data_tmp"), join(path, "..data"));
      for (const name of Object.keys(changes)) {
        if (names.has(name)) continue;
        names.add(name);
        symlinkSync(join("..data", name), join(path, name));
      }
      if (before !== undefined) rmSync(join(path, before), { recursive: true });
    },
    dispose: () => rmSync(path, { recursive: true, force: true }),
  };
  volume.swap(files);
  return volume;
}
