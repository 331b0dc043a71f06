import { copyFile, mkdir, realpath, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "../../support/child.ts";

const LIBRARY = /(?:=> )?(\/\S+) \(0x/;

/** Fills `root` with programs of this machine, at `paths` (program in the image: file here), and the libraries that they load. */
export async function programRoot(root: string, paths: Readonly<Record<string, string>>): Promise<void> {
  const copied = new Set<string>();
  const copy = async (from: string, to: string): Promise<void> => {
    if (copied.has(to)) return;
    copied.add(to);
    const target = join(root, to);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(await realpath(from), target);
  };
  for (const [to, from] of Object.entries(paths)) {
    await copy(from, to);
    for (const library of await librariesOf(from)) await copy(library, library);
  }
  await mkdir(join(root, "tmp"), { recursive: true, mode: 0o1777 });
  await mkdir(join(root, "etc"), { recursive: true });
  await writeFile(
    join(root, "etc", "passwd"),
    "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n",
  );
  await writeFile(join(root, "etc", "group"), "root:x:0:\nnonroot:x:65532:\n");
}

/** What the loader maps for a program. Nothing for one that is linked statically. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const { code, stdout } = await run("ldd", [program], { timeoutMs: 10_000 });
  if (code !== 0) return [];
  return stdout.split("\n").flatMap((line) => LIBRARY.exec(line)?.[1] ?? []);
}
