import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { must } from "../machine/must.ts";
import { CULVERT_TAGS, IMAGES, PAUSE_IMAGE, TAG } from "./names.ts";
import { makeImage } from "./oci.ts";
import { programRoot } from "./program-root.ts";

const SCRIPTS = fileURLToPath(new URL("../../../scripts", import.meta.url));
const BUILD_MS = 180_000;
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Makes the images of all pods, as OCI archives. */
export async function makeImages(folder: string, tools: string): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  const programs = async (name: string, paths: Readonly<Record<string, string>>): Promise<string> => {
    const root = join(folder, name);
    await programRoot(root, paths);
    return root;
  };
  const pause = makeImage(folder, {
    name: PAUSE_IMAGE,
    root: await programs("pause", { "/pause": join(tools, "pause") }),
    config: { Entrypoint: ["/pause"], User: "65535:65535" },
  });
  const coredns = makeImage(folder, {
    name: `${IMAGES.coredns}:${TAG}`,
    root: await programs("coredns", { "/coredns": join(tools, "coredns") }),
    config: { Entrypoint: ["/coredns"], User: "65532:65532" },
  });
  const redis = makeImage(folder, {
    name: `${IMAGES.redis}:${TAG}`,
    root: await programs("redis", {
      "/usr/local/bin/redis-server": "/usr/bin/redis-server",
      "/usr/local/bin/redis-cli": "/usr/bin/redis-cli",
      "/bin/sh": "/bin/dash",
    }),
    config: { Cmd: ["redis-server"], Env: [PATH], User: "999:999" },
  });
  const nats = makeImage(folder, {
    name: `${IMAGES.nats}:${TAG}`,
    root: await programs("nats", { "/usr/local/bin/nats-server": "/usr/sbin/nats-server" }),
    config: { Cmd: ["nats-server"], Env: [PATH] },
  });
  return [...(await Promise.all([pause, coredns, redis, nats])), ...(await culvert(folder))];
}

/** The platform's image, of the same scripts that make it elsewhere. */
async function culvert(folder: string): Promise<readonly string[]> {
  const root = join(folder, "culvert");
  const options = { timeoutMs: BUILD_MS };
  await must(join(SCRIPTS, "image-base"), [root], options);
  await must(join(SCRIPTS, "image-root"), ["--no-build", join(root, "app")], options);
  const config = {
    Entrypoint: ["node", "/app/cli/bin/culvert.js"],
    WorkingDir: "/app",
    User: "65532:65532",
    Env: [PATH, "NODE_ENV=production", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
  };
  const archives: string[] = [];
  for (const [version, tag] of Object.entries(CULVERT_TAGS)) {
    const name = `${IMAGES.culvert}:${tag}`;
    archives.push(
      await makeImage(folder, { name, root, config: { ...config, Env: [...config.Env, `CULVERT_TEST=${version}`] } }),
    );
  }
  return archives;
}
