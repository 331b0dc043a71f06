import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, chownSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { run } from "../support/child.ts";
import { temporaryFolder } from "../support/cleanup.ts";
import { type Fleet, type Launch, startFleet } from "../support/fleet.ts";

const script = (name: string): string => fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url));
const TIMEOUT_MS = 120_000;
const NONROOT = 65_532;

let root: string;

beforeAll(async () => {
  root = join(await temporaryFolder(), "root");
  for (const [name, ...words] of [
    ["image-base", root],
    ["image-root", "--no-build", join(root, "app")],
  ]) {
    const { code, stderr } = await run(script(name ?? ""), words, { timeoutMs: TIMEOUT_MS });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  }
});

/** Every file, as a path from `folder`. */
function files(folder: string, at = ""): string[] {
  return readdirSync(join(folder, at), { withFileTypes: true }).flatMap((entry) => {
    const path = join(at, entry.name);
    return entry.isDirectory() ? files(folder, path) : [path];
  });
}

describe("the tree of the image", () => {
  test("has what runs, and nothing of the rest", () => {
    const all = files(join(root, "app"));
    expect(all).toEqual(
      expect.arrayContaining(["LICENSE", "cli/bin/culvert.js", "cli/dist/main.js", "sbom/npm.cdx.json"]),
    );
    expect(all).toContain("libs/dataplane/native/fastpath.node");
    expect(
      all.filter((path) => /\.(ts|map|tsbuildinfo)$|(^|\/)test\//.test(path) && !path.includes("node_modules")),
    ).toEqual([]);
    expect(readdirSync(join(root, "app"))).toEqual(["LICENSE", "cli", "libs", "node_modules", "sbom", "services"]);
    for (const name of ["vitest", "typescript", "@biomejs", "tsx", "playwright-core"]) {
      expect(existsSync(join(root, "app/node_modules", name))).toBe(false);
    }
  });

  test("has no code of a machine but the native data plane: it is the same for all platforms", () => {
    expect(files(join(root, "app")).filter((path) => /\.(node|so|dylib|dll|exe)(\.\d+)*$/.test(path))).toEqual([
      "libs/dataplane/native/fastpath.node",
    ]);
  });

  test("has a list of its components that names every package in it, with its hash", () => {
    const { components } = JSON.parse(readFileSync(join(root, "app/sbom/npm.cdx.json"), "utf8"));
    const listed = new Map<string, { hashes?: unknown[] }>(
      components.map((component: { purl: string }) => [decodeURIComponent(component.purl), component]),
    );
    const manifests = files(join(root, "app/node_modules")).filter((path) =>
      /^((.*\/)?node_modules\/)?(@[^/]+\/)?[^/]+\/package\.json$/.test(path),
    );
    expect(manifests.length).toBeGreaterThan(80);
    for (const path of manifests) {
      const { name, version } = JSON.parse(readFileSync(join(root, "app/node_modules", path), "utf8"));
      expect(listed.get(`pkg:npm/${name}@${version}`)?.hashes, `${name}@${version}`).toHaveLength(1);
    }
  });

  test("is the same when it is made again", async () => {
    const again = join(await temporaryFolder(), "app");
    await run(script("image-root"), ["--no-build", again], { timeoutMs: TIMEOUT_MS });
    const sum = (folder: string): string => {
      const words = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-c", "-C", folder, "."];
      return createHash("sha256")
        .update(execFileSync("tar", words, { maxBuffer: 2 ** 30 }))
        .digest("hex");
    };
    expect(sum(again)).toBe(sum(join(root, "app")));
  });
});

describe.sequential("the image, as its user, with nothing to write to but /tmp", () => {
  const isRoot = process.getuid?.() === 0;

  /** The services' files belong to the image's user, as in a pod by fsGroup. */
  const launch: Launch = (words, folder) => {
    chmodSync(folder, 0o755);
    if (isRoot) for (const name of readdirSync(folder)) chownSync(join(folder, name), NONROOT, NONROOT);
    return [script("image-run"), root, folder, "--", ...words];
  };
  let fleet: Fleet;

  test("serves: each service as a process of its own", async () => {
    fleet = await startFleet(launch);
    for (const service of ["credential", "relay", "stun", "signaling"] as const) {
      expect((await fleet.readiness(service)).status).toBe(200);
    }
  });

  test("runs as that user, and cannot write", () => {
    for (const { pid } of Object.values(fleet.processes)) {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      if (isRoot) expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m);
      expect(status).toMatch(/^CapEff:\t0+$/m);
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8").trim().split("\n");
      const writable = mounts
        .map((line) => line.split(" "))
        .filter(([, , , , , options = ""]) => options.startsWith("rw"));
      const places = writable
        .map(([, , , , place = ""]) => place)
        .filter((place) => !/^\/(proc|dev)(\/|$)/.test(place));
      expect(places).toEqual(["/tmp"]);
    }
  });

  test("relays: ping-turn of the image, with credentials of its API", async () => {
    const { apiUrl, keyId, token } = fleet.access;
    const access = ["--api-url", apiUrl, "--key-id", keyId, "--token", token];
    for (const transport of ["udp", "tcp"]) {
      const uri = `turn:127.0.0.1:${fleet.relay.port}?transport=${transport}`;
      const words = launch(["ping-turn", uri, ...access], await temporaryFolder());
      const { code, stdout, stderr } = await run(words[0] ?? "", words.slice(1), { timeoutMs: TIMEOUT_MS });
      expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("10 of 10 back");
    }
  });

  test("relays by the native data plane", () => {
    const maps = readFileSync(`/proc/${fleet.processes.relay.pid}/maps`, "utf8");
    expect(maps).toContain("/app/libs/dataplane/native/fastpath.node");
  });

  test("stops when it is told to", async () => {
    for (const process of Object.values(fleet.processes)) {
      expect(await process.stop("SIGTERM"), process.output).toEqual({ code: 0, signal: null });
    }
  });
});
