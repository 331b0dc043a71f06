import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { must } from "../machine/must.ts";

/** What an image's processes start with, as the OCI image specification names it. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const ARCHITECTURES: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: "amd64", arm64: "arm64" };
const TAR_MS = 120_000;

/** Makes an OCI archive of the file system under `root` and returns its path. `name` is the image's, with a tag. */
export async function makeImage(
  folder: string,
  { name, root, config }: { readonly name: string; readonly root: string; readonly config: ImageConfig },
): Promise<string> {
  const file = join(folder, name.replaceAll(/[^\w.-]+/g, "-"));
  const layout = `${file}.layout`;
  const blobs = join(layout, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  const layer = await layerOf(root, blobs);
  const blob = async (mediaType: string, content: object): Promise<Descriptor> => {
    const text = JSON.stringify(content);
    const hash = createHash("sha256").update(text).digest("hex");
    await writeFile(join(blobs, hash), text);
    return { mediaType, digest: `sha256:${hash}`, size: Buffer.byteLength(text) };
  };
  const image = await blob("application/vnd.oci.image.config.v1+json", {
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: "linux",
    config,
    // Not compressed: what identifies the layer's content is the layer's own digest.
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = await blob(mediaType, { schemaVersion: 2, mediaType, config: image, layers: [layer] });
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{ ...manifest, annotations: { "io.containerd.image.name": name } }],
  };
  await writeFile(join(layout, "index.json"), JSON.stringify(index));
  await writeFile(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const archive = `${file}.tar`;
  await must("tar", ["-C", layout, "-cf", archive, "."], { timeoutMs: TAR_MS });
  await rm(layout, { recursive: true });
  return archive;
}

async function layerOf(root: string, blobs: string): Promise<Descriptor> {
  const file = join(blobs, "layer");
  const reproducible = ["--sort=name", "--mtime=@0", "--numeric-owner", "--owner=0", "--group=0"];
  await must("tar", [...reproducible, "-C", root, "-cf", file, "."], { timeoutMs: TAR_MS });
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  const hex = hash.digest("hex");
  await rename(file, join(blobs, hex));
  const { size } = await stat(join(blobs, hex));
  return { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: `sha256:${hex}`, size };
}
