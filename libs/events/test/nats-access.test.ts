import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createNatsBus, type NatsBus } from "@culvert/events";
import { type NatsServer, startNats } from "@culvert/testkit";
import { nkeys } from "@nats-io/transport-node";
import { generate } from "selfsigned";
import { afterEach, expect, it } from "vitest";

/** The test's own time limit is to be the one that counts. */
const UP_MS = 45_000;
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(...args: string[]): Promise<NatsServer> {
  const server = await startNats({ args });
  closers.push(() => server.dispose());
  return server;
}

type Access = Omit<Parameters<typeof createNatsBus>[0], "servers">;

function open(server: NatsServer, access: Access = {}): NatsBus {
  const bus = createNatsBus({ servers: [server.server], ...access });
  closers.push(() => bus.close());
  return bus;
}

/** Why the server does not take one. */
const refusal = (bus: NatsBus): Promise<string> =>
  expect
    .poll(() => bus.health().reason, { timeout: UP_MS })
    .not.toMatch(/not connected yet/)
    .then(() => bus.health().reason ?? "");

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "culvert-nats-access-"));
  closers.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

it("logs in with a user and a password, and goes on trying with wrong ones", async () => {
  const server = await serve("--user", "culvert", "--pass", "open sesame");
  expect(await open(server, { user: "culvert", password: "open sesame" }).untilUp(UP_MS)).toBe(true);
  for (const access of [{}, { user: "culvert", password: "wrong" }, { token: "open sesame" }]) {
    const bus = open(server, access);
    expect(await refusal(bus)).toMatch(/authorization/i);
    expect(bus.health()).toMatchObject({ up: false });
  }
});

it("logs in with a token", async () => {
  const server = await serve("--auth", "open sesame");
  expect(await open(server, { token: "open sesame" }).untilUp(UP_MS)).toBe(true);
  expect(await refusal(open(server, { token: "wrong" }))).toMatch(/authorization/i);
});

it("logs in with a credentials file, and reports what its user may not do", async () => {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  const path = folder();
  const operatorJwt = jwt(operator, operator, { type: "operator" });
  const accountJwt = jwt(operator, account, { type: "account", limits: { subs: -1, conn: -1, data: -1, payload: -1 } });
  const userJwt = jwt(account, user, {
    type: "user",
    subs: -1,
    data: -1,
    payload: -1,
    pub: { allow: ["allowed.>"] },
    sub: { allow: ["allowed.>", "_INBOX.>"] },
  });
  writeFileSync(join(path, "operator.jwt"), operatorJwt);
  writeFileSync(
    join(path, "nats.conf"),
    `operator: "${join(path, "operator.jwt")}"\nresolver: MEMORY\nresolver_preload: { ${account.getPublicKey()}: ${accountJwt} }\n`,
  );
  const server = await serve("--config", join(path, "nats.conf"));
  const seed = new TextDecoder().decode(user.getSeed());
  const credentials = `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
  const bus = open(server, { credentials });
  expect(await bus.untilUp(UP_MS)).toBe(true);
  const errors: string[] = [];
  bus.onError((error, subject) => errors.push(`${subject}: ${error instanceof Error ? error.name : error}`));
  await bus.subscribe("forbidden.>", () => {});
  await expect.poll(() => errors, { timeout: UP_MS }).toEqual(["forbidden.>: PermissionViolationError"]);
  expect(bus.health()).toEqual({ up: true });
  expect(await refusal(open(server))).toMatch(/authorization/i);
});

it("speaks TLS to a server that its authority knows, and shows its own certificate", async () => {
  const path = folder();
  const pem = await generate([{ name: "commonName", value: "127.0.0.1" }], {
    keyType: "ec",
    extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }],
  });
  const [cert, key] = [join(path, "cert.pem"), join(path, "key.pem")];
  writeFileSync(cert, pem.cert);
  writeFileSync(key, pem.private);
  const server = await serve("--tlsverify", "--tlscert", cert, "--tlskey", key, "--tlscacert", cert);
  const own = { ca: pem.cert, cert: pem.cert, key: pem.private };
  expect(await open(server, { tls: own }).untilUp(UP_MS)).toBe(true);
  expect(await refusal(open(server, { tls: {} }))).toMatch(/self-signed/);
  expect(await refusal(open(server, { tls: { ca: pem.cert } }))).toMatch(/\S/);
  const elsewhere = createNatsBus({ servers: [`localhost:${server.port}`], tls: own });
  closers.push(() => elsewhere.close());
  expect(await refusal(elsewhere)).toMatch(/does not match certificate/);
  const plain = await serve();
  expect(await refusal(open(plain, { tls: own }))).toMatch(/tls/i);
});

/** A JWT as NATS has it. */
function jwt(issuer: nkeys.KeyPair, subject: nkeys.KeyPair, nats: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = {
    jti: subject.getPublicKey(),
    iat: 1_700_000_000,
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name: "test",
    nats: { ...nats, version: 2 },
  };
  const signed = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${part(claims)}`;
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString("base64url")}`;
}
