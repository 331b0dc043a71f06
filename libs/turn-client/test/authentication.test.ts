import {
  Attr,
  attribute,
  checkIntegrity,
  encodeNonceCookie,
  longTermKey,
  Method,
  PasswordAlgorithmId,
  userHash,
} from "@culvert/stun";
import { nodeCrypto } from "@culvert/testkit";
import { expect, test } from "vitest";
import {
  ALLOCATED,
  allocated,
  connect,
  errorReply,
  ManualTimers,
  NONCE,
  PASSWORD,
  REALM,
  ScriptedServer,
  signature,
  USERNAME,
} from "./support.ts";

const none = new Uint8Array(0);
const md5 = { algorithm: PasswordAlgorithmId.Md5, parameters: none };
const sha256 = { algorithm: PasswordAlgorithmId.Sha256, parameters: none };

test("the first request goes without credentials, the one after the 401 is signed", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const allocation = client.allocate();

  const first = await server.next();
  expect(first.message.has(Attr.Username)).toBe(false);
  expect(first.message.has(Attr.MessageIntegrity)).toBe(false);
  first.reply(errorReply(401, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, NONCE)]));

  const second = await server.next();
  const { message } = second;
  expect(message.get(Attr.Username)).toBe(USERNAME);
  expect(message.get(Attr.Realm)).toBe(REALM);
  expect(message.get(Attr.Nonce)).toBe(NONCE);
  expect(message.has(Attr.PasswordAlgorithm)).toBe(false);
  expect(checkIntegrity(message, "sha1", signature().key, nodeCrypto)).toBe("valid");
  expect(message.transactionId).not.toEqual(first.message.transactionId);

  second.reply({ attributes: ALLOCATED, integrity: signature() });
  await allocation;
});

test("SHA-256 is taken when the server offers it, and MESSAGE-INTEGRITY-SHA256 signs", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const allocation = client.allocate();
  const nonce = `${encodeNonceCookie({ passwordAlgorithms: true, usernameAnonymity: false })}xyz`;
  const challenge = [attribute(Attr.Nonce, nonce), attribute(Attr.PasswordAlgorithms, [md5, sha256])];
  (await server.next()).reply(errorReply(401, [attribute(Attr.Realm, REALM), ...challenge]));

  const request = await server.next();
  const { message } = request;
  const key = longTermKey({ username: USERNAME, realm: REALM, password: PASSWORD, algorithm: "sha256" }, nodeCrypto);
  expect(message.get(Attr.PasswordAlgorithm)?.algorithm).toBe(PasswordAlgorithmId.Sha256);
  expect(message.get(Attr.PasswordAlgorithms)?.map(({ algorithm }) => algorithm)).toEqual([1, 2]);
  expect(message.has(Attr.MessageIntegrity)).toBe(false);
  expect(checkIntegrity(message, "sha256", key, nodeCrypto)).toBe("valid");
  request.reply({ attributes: ALLOCATED, integrity: signature("sha256") });
  await allocation;
});

test("a nonce that announces PASSWORD-ALGORITHMS without them is a bid-down: no credentials are sent", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const failure = client.allocate().catch((error: unknown) => error);
  const nonce = encodeNonceCookie({ passwordAlgorithms: true, usernameAnonymity: false });
  (await server.next()).reply(errorReply(401, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, nonce)]));
  expect(await failure).toMatchObject({ kind: "protocol", step: "Allocate" });
  expect(server.untaken).toBe(0);
});

test("USERHASH replaces USERNAME when asked for and understood", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server, { anonymous: true });
  const allocation = client.allocate();
  const nonce = encodeNonceCookie({ passwordAlgorithms: false, usernameAnonymity: true });
  (await server.next()).reply(errorReply(401, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, nonce)]));
  const request = await server.next();
  expect(request.message.has(Attr.Username)).toBe(false);
  expect(request.message.get(Attr.UserHash)).toEqual(userHash(USERNAME, REALM, nodeCrypto));
  request.reply({ attributes: ALLOCATED, integrity: signature() });
  await allocation;
});

test("a second 401 is the answer: the password is wrong", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const failure = client.allocate().catch((error: unknown) => error);
  (await server.challenge()).reply(errorReply(401, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, NONCE)]));
  expect(await failure).toMatchObject({ kind: "response", code: 401, reason: "reason 401", step: "Allocate" });
});

test("after a 438 the request is sent with the new nonce", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  const refresh = client.refresh();
  (await server.next()).reply(errorReply(438, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, "fresh")]));
  const request = await server.next();
  expect(request.message.get(Attr.Nonce)).toBe("fresh");
  request.reply({ attributes: [attribute(Attr.Lifetime, 300)], integrity: signature() });
  expect(await refresh).toBe(300);
});

test("a server that calls every nonce stale is given up on", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const failure = client.allocate().catch((error: unknown) => error);
  const stale = errorReply(438, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, NONCE)]);
  (await server.challenge()).reply(stale);
  for (let i = 0; i < 3; i++) (await server.next()).reply(stale);
  expect(await failure).toMatchObject({ code: 438 });
});

test("retry: false hands out the challenge, nonce sends another one", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  const failure = client.request(Method.Refresh, [], { retry: false, nonce: "old" }).catch((error: unknown) => error);
  const request = await server.next();
  expect(request.message.get(Attr.Nonce)).toBe("old");
  request.reply(errorReply(438, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, NONCE)]));
  expect(await failure).toMatchObject({ code: 438, step: "Refresh" });
});

test("a success response without a valid MESSAGE-INTEGRITY is as if it had not come", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers });
  const failure = client.allocate().catch((error: unknown) => error);
  const request = await server.challenge();
  request.reply({ attributes: ALLOCATED });
  request.reply({ attributes: ALLOCATED, integrity: { ...signature(), key: new Uint8Array(16) } });
  timers.advance(500);
  await server.next();
  timers.advance(39_000);
  expect(await failure).toMatchObject({ kind: "timeout", reason: /MESSAGE-INTEGRITY of the response is invalid/ });
});

test("without a username a 401 is an error", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server, { username: undefined });
  const failure = client.allocate().catch((error: unknown) => error);
  (await server.next()).reply(errorReply(401, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, NONCE)]));
  expect(await failure).toMatchObject({ code: 401 });
});
