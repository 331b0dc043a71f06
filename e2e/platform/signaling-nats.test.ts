import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type NatsServer, startNats } from "@culvert/testkit";
import { beforeAll, describe, expect, test } from "vitest";
import { type ApiAccess, signalingToken } from "../support/api.ts";
import { Child } from "../support/child.ts";
import { atEnd, temporaryFolder } from "../support/cleanup.ts";
import { eventually, Hopeless } from "../support/eventually.ts";
import { scrape, total } from "../support/metrics.ts";
import { freePorts } from "../support/ports.ts";
import { CULVERT } from "../support/repo.ts";
import { SignalingClient } from "../support/signaling-client.ts";

// Two signaling processes that one NATS server joins, and a credential service that tells revocations over it.

const START_MS = 60_000;
const HOST = "127.0.0.1";
const ACCESS = { keyId: "first", token: "an-api-token-of-the-tenant" };

let nats: NatsServer;
let access: ApiAccess;
let urls: readonly [string, string];
let opsUrls: readonly [string, string];

async function start(service: string, folder: string, section: object, opsUrl: string): Promise<void> {
  const file = join(folder, `${service}-${new URL(opsUrl).port}.yaml`);
  await writeFile(file, JSON.stringify({ [service]: section }));
  const child = new Child(process.execPath, [CULVERT, service, "--config", file]);
  atEnd(() => child.stop());
  await eventually(
    `${service} is ready`,
    async () => {
      if (child.ended) throw new Hopeless(child.output);
      return (await readiness(opsUrl)) === 200 ? true : undefined;
    },
    START_MS,
  );
}

async function readiness(opsUrl: string): Promise<number> {
  const response = await fetch(`${opsUrl}/healthz/ready`);
  await response.arrayBuffer();
  return response.status;
}

beforeAll(async () => {
  nats = await startNats({ args: ["--auth", "the token of the bus"] });
  atEnd(() => nats.dispose());
  const folder = await temporaryFolder();
  const [http = 0, grpc = 0, wsA = 0, wsB = 0, ...ops] = await freePorts(7);
  const [opsC = "", opsA = "", opsB = ""] = ops.map((port) => `http://${HOST}:${port}`);
  const bus = { servers: [nats.server], token: "the token of the bus" };
  access = { apiUrl: `http://${HOST}:${http}`, ...ACCESS };
  urls = [`ws://${HOST}:${wsA}/v1/signaling`, `ws://${HOST}:${wsB}/v1/signaling`];
  opsUrls = [opsA, opsB];
  const tenant = {
    id: "default",
    keys: [{ kid: ACCESS.keyId, secret: "the signing key of the tenant" }],
    tokens: [{ id: "app", token: ACCESS.token, scopes: ["credentials:revoke", "signaling:issue"] }],
  };
  const credential = {
    http: { port: http },
    grpc: { port: grpc, token: "shared-by-the-services" },
    publicHost: HOST,
    tenants: [tenant],
    nats: bus,
    ops: { port: Number(new URL(opsC).port) },
  };
  await start("credential", folder, credential, opsC);
  const feed = { target: `${HOST}:${grpc}`, token: "shared-by-the-services" };
  for (const [port, opsUrl] of [
    [wsA, opsA],
    [wsB, opsB],
  ] as const) {
    // A NATS server that takes its time to start again is no reason to give the other process up.
    const cluster = { replicaTimeout: 60 };
    const section = {
      listen: { port },
      credential: feed,
      nats: bus,
      cluster,
      ops: { port: Number(new URL(opsUrl).port) },
    };
    await start("signaling", folder, section, opsUrl);
  }
  for (const url of opsUrls) {
    await eventually(
      "each process knows the other",
      async () => total(await scrape(`${url}/metrics`), "culvert_signaling_replicas") === 1 || undefined,
    );
  }
});

const connect = async (url: string, user: string): Promise<SignalingClient> =>
  SignalingClient.open(url, await signalingToken(access, user));

const offer = (sdp: string) => ({ description: { type: "offer", sdp } });

describe("two signaling processes on one NATS server", () => {
  test("peers of one reach those of the other, both ways and in order", async () => {
    const alice = await connect(urls[0], "alice");
    const bob = await connect(urls[1], "bob");
    for (const index of [1, 2, 3]) alice.send("ice.desc", offer(`${index}`), { to: bob.address });
    for (const index of [1, 2, 3]) {
      expect(await bob.next("ice.desc")).toMatchObject({ from: alice.address, data: offer(`${index}`) });
    }
    bob.send("ice.desc", offer("4"), { to: alice.address });
    expect(await alice.next("ice.desc")).toMatchObject({ from: bob.address, data: offer("4") });
  });

  test("a session resumes on the other process, with what came meanwhile, once", async () => {
    const alice = await connect(urls[0], "alice");
    const bob = await connect(urls[1], "bob");
    bob.send("ice.desc", offer("before"), { to: alice.address });
    expect((await alice.next("ice.desc")).data).toEqual(offer("before"));
    alice.drop();
    for (const sdp of ["meanwhile 1", "meanwhile 2"]) bob.send("ice.desc", offer(sdp), { to: alice.address });
    const resumed = await alice.resume(urls[1]);
    expect(resumed.address).toBe(alice.address);
    bob.send("ice.desc", offer("after"), { to: alice.address });
    const seen: unknown[] = [];
    for (let index = 0; index < 3; index++) seen.push((await resumed.next("ice.desc")).data);
    expect(seen).toEqual(["meanwhile 1", "meanwhile 2", "after"].map(offer));
    resumed.send("ice.desc", offer("back"), { to: bob.address });
    expect(await bob.next("ice.desc")).toMatchObject({ from: alice.address, data: offer("back") });
  });

  test("an outage of NATS moves readiness, keeps the clients, and loses no message of theirs", async () => {
    const alice = await connect(urls[0], "alice");
    const bob = await connect(urls[1], "bob");
    await nats.stop();
    for (const url of opsUrls) {
      await eventually("not ready", async () => ((await readiness(url)) === 503 ? true : undefined));
      expect((await fetch(`${url}/healthz/live`)).status).toBe(200);
    }
    alice.send("ice.desc", offer("during"), { to: bob.address });
    await nats.start();
    // The links between the processes repeat what was not acknowledged.
    expect(await bob.next("ice.desc")).toMatchObject({ from: alice.address, data: offer("during") });
    for (const url of opsUrls)
      await eventually("ready", async () => ((await readiness(url)) === 200 ? true : undefined));
    bob.send("ice.desc", offer("afterwards"), { to: alice.address });
    expect(await alice.next("ice.desc")).toMatchObject({ data: offer("afterwards") });
  });
});
