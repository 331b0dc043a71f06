import { once } from "node:events";
import WebSocket from "ws";
import { signalingToken } from "../support/api.ts";
import { SignalingClient } from "../support/signaling-client.ts";
import { ADMIN_TOKEN, type Platform } from "./platform.ts";

/** A request to the credential service, whatever the answer. */
async function ask(platform: Platform, method: string, path: string, options: Asked = {}): Promise<number> {
  const { token = platform.access.token, json, authorization = `Bearer ${token}` } = options;
  const response = await fetch(`${platform.access.apiUrl}${path}`, {
    method,
    headers: { authorization, ...(json === undefined ? {} : { "content-type": "application/json" }) },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    signal: AbortSignal.timeout(10_000),
  });
  await response.arrayBuffer();
  return response.status;
}

interface Asked {
  readonly token?: string;
  readonly authorization?: string;
  readonly json?: object;
}

/** Credentials of every shape, refusals of every kind, and what an administrator does. Fails for another answer than due. */
export async function useApi(platform: Platform, round: number): Promise<void> {
  const { keyId, token } = platform.access;
  const basic = `Basic ${Buffer.from(`default:${token}`).toString("base64")}`;
  const answers = [
    await ask(platform, "GET", "/?service=turn&username=rest"),
    await ask(platform, "POST", `/v1/turn/keys/${keyId}/credentials/generate`, { json: { ttl: 600 } }),
    await ask(platform, "POST", "/2010-04-01/Accounts/default/Tokens.json", { authorization: basic }),
    await ask(platform, "POST", "/v1/signaling/tokens", { json: { user: "someone" } }),
    await ask(platform, "POST", `/v1/turn/keys/${keyId}/credentials/generate`, { token: "wrong" }),
    await ask(platform, "POST", `/v1/turn/keys/${keyId}/credentials/generate`, { json: { clientIp: "no address" } }),
    await ask(platform, "POST", "/v1/tenants/default/revocations", { json: { user: `gone-${round}` } }),
    await ask(platform, "GET", "/v1/tenants/default", { token: ADMIN_TOKEN }),
    await ask(platform, "GET", "/nowhere"),
  ];
  const due = [200, 201, 201, 201, 401, 400, 201, 200, 404];
  if (answers.join() !== due.join()) throw new Error(`the API answered ${answers}, not ${due}`);
}

/** A credential that is asked for while Redis is away. */
export const mintWithoutRedis = (platform: Platform): Promise<number> =>
  ask(platform, "POST", `/v1/turn/keys/${platform.access.keyId}/credentials/generate`, { json: { ttl: 600 } });

/** A client whose token is none, until it is hung up on. */
async function turnedAway(url: string): Promise<void> {
  const socket = new WebSocket(url, "culvert.signaling.v1");
  await once(socket, "open");
  socket.send(JSON.stringify({ v: 1, ack: 0, type: "hello", seq: 0, data: { auth: "no token at all" } }));
  await once(socket, "close");
}

/** Two peers on two replicas who talk, one of whom comes back after a break, and a stranger who is turned away. */
export async function useSignaling(platform: Platform, round: number): Promise<void> {
  const [first = "", second = ""] = platform.signalingUrls;
  const open = async (url: string, user: string) =>
    SignalingClient.open(url, await signalingToken(platform.access, `${user}-${round}`));
  const alice = await open(first, "alice");
  const bob = await open(second, "bob");
  alice.send("room.join", {}, { room: `room-${round}` });
  bob.send("room.join", {}, { room: `room-${round}` });
  alice.send("ice.desc", { description: { type: "offer", sdp: "v=0" } }, { to: bob.address });
  await bob.next("ice.desc");
  alice.send("attempt.result", { step: "direct", ok: true, ms: 40 });
  bob.send("attempt.result", { step: "punch", ok: false, reason: "timeout", ms: 3000 });
  bob.drop();
  const again = await bob.resume(second);
  again.send("ice.desc", { description: { type: "answer", sdp: "v=0" } }, { to: alice.address });
  await alice.next("ice.desc");
  await turnedAway(first);
  await alice.close();
  await again.close();
}
