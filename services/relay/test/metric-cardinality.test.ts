import { expect, test } from "vitest";
import { startRelay, type TestRelay } from "./harness.ts";

// However many users, clients and peers a relay serves: what it tells Prometheus stays as it is.

const USERS = 40;
/** Of one pod, with all that it may come to have in a fleet. */
const MOST = 2000;

const users = Array.from({ length: USERS }, (_, at) => ({
  username: `user-${at}-in-particular`,
  password: `password ${at}`,
}));

async function series(relay: TestRelay): Promise<readonly string[]> {
  const response = await fetch(`http://${relay.info.ops?.host}:${relay.info.ops?.port}/metrics`);
  const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => line.slice(0, line.lastIndexOf(" ")));
}

/** All that a user does: two of them differ in name, address, port, peers and channels. */
async function serve(relay: TestRelay, at: number): Promise<void> {
  const user = users[at] ?? { username: "", password: "" };
  const transport = at % 2 === 0 ? "udp" : "tcp";
  const client = await relay.connect(transport, user);
  await client.allocate();
  await client.createPermission([`127.0.1.${at + 1}`]);
  await client.channelBind({ ip: `127.0.2.${at + 1}`, port: 10_000 + at }, 0x4000 + at);
  client.send({ ip: `127.0.1.${at + 1}`, port: 20_000 + at }, Buffer.from("data"));
  await expect(client.createPermission([`10.0.0.${at + 1}`])).rejects.toMatchObject({ code: 403 });
  const stranger = await relay.connect(transport, { username: `stranger-${at}`, password: "wrong" });
  await expect(stranger.allocate()).rejects.toMatchObject({ code: 401 });
  await client.refresh(0);
}

test("series do not grow with users, addresses, ports or allocations", async () => {
  const relay = await startRelay({ auth: { users }, limits: { unauthenticatedBurst: 10_000 } });
  for (const at of [0, 1]) await serve(relay, at);
  const few = await series(relay);
  for (let at = 2; at < USERS; at++) await serve(relay, at);
  const many = await series(relay);

  expect(many.filter((one) => !few.includes(one))).toEqual([]);
  expect(new Set(many).size).toBe(many.length);
  expect(many.length).toBeLessThan(MOST);
  // What the process tells of itself apart, no label holds an address or a name.
  const labels = many.filter((one) => !one.startsWith("target_info")).join("\n");
  expect(labels).not.toMatch(/particular|stranger|\d+\.\d+\.\d+\.\d+/);
});
