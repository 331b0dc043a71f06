import { createHmac } from "node:crypto";
import { Attr, attribute, Method } from "@culvert/stun";
import { createLogger } from "@culvert/telemetry";
import { expect, test } from "vitest";
import { startRelay, USER } from "./harness.ts";
import { peerAttribute, UDP_TRANSPORT } from "./requests.ts";
import { Wire } from "./wire.ts";

const SECRET = "the secret of the application";
const MARK = "mallory";

/** What would end a line, a format, a label, a key or a subject. Each holds the mark, so that it can be found. */
const HOSTILE: readonly string[] = [
  `${MARK}%n%s%x`,
  `${MARK}\r\n{"level":"fatal","msg":"forged"}`,
  `${MARK}\nculvert_relay_allocations 999`,
  `${MARK}"} 1\n`,
  `${MARK}:{}*>.`,
  `${MARK}\0end`,
  `${MARK}\u001b[2J`,
  `${MARK}\u2028\u202e`,
  `__proto__.${MARK}`,
];

async function given(logAddresses: "hashed" | "plain") {
  const raw: string[] = [];
  const logger = createLogger({
    service: "relay",
    level: "trace",
    destination: { write: (line) => void raw.push(line) },
  });
  const relay = await startRelay({ auth: { users: [USER], secrets: [SECRET] }, logAddresses }, { logger });
  for (const text of HOSTILE) {
    const extra = [attribute(Attr.Software, text), attribute(Attr.Origin, text)];
    const wire = await Wire.open(relay);
    wire.send(wire.session.bare(Method.Binding, extra));
    wire.send(
      wire.session.bare(Method.Allocate, [attribute(Attr.Username, text), attribute(Attr.Realm, text), ...extra]),
    );
    await wire.challenge();
    // Unknown users, a wrong realm, a made-up nonce, a wrong password.
    await wire.request(Method.Allocate, [UDP_TRANSPORT, ...extra], { username: text });
    await wire.request(Method.Allocate, [UDP_TRANSPORT], { realm: text });
    await wire.request(Method.Allocate, [UDP_TRANSPORT], { nonce: Buffer.from(text).toString("latin1") });
    await wire.request(Method.Allocate, [UDP_TRANSPORT], { password: text });
    // Who has good credentials, and a name like that.
    const expiresAt = Math.floor(Date.now() / 1000) + 60;
    const username = `${expiresAt}:${text}`;
    const named = await Wire.open(relay, { username, password: passwordOf(username) });
    await named.request(Method.Allocate, [UDP_TRANSPORT, ...extra]);
    await named.request(Method.CreatePermission, [peerAttribute({ ip: "169.254.169.254", port: 80 })]);
    await named.request(Method.Refresh, [attribute(Attr.Lifetime, 0)]);
  }
  const metrics = await (await fetch(`http://${relay.info.ops?.host}:${relay.info.ops?.port}/metrics`)).text();
  return { relay, raw, metrics };
}

/** By coturn's scheme, whatever the name looks like. */
function passwordOf(username: string): string {
  return createHmac("sha1", SECRET).update(username).digest("base64");
}

test("hostile attributes are inert in logs and metrics, and name nobody there", async () => {
  const { raw, metrics, relay } = await given("hashed");
  const said = raw.map((line) => JSON.parse(line));
  expect(said.filter(({ msg }) => msg === "allocation created").length).toBeGreaterThan(0);
  expect(said.filter(({ msg }) => msg === "request not authenticated").length).toBeGreaterThan(HOSTILE.length);
  for (const line of raw) expect(line.indexOf("\n")).toBe(line.length - 1);
  const all = raw.join("") + metrics;
  const hidden = [MARK, SECRET, USER.password, USER.username, "169.254.169.254", "forged"];
  for (const secret of hidden) expect(all).not.toContain(secret);
  expect(await relay.metric("culvert_relay_allocations")).toBe(0);
});

test("hostile names that the operator wants to see stay within their line", async () => {
  const { raw, metrics } = await given("plain");
  expect(raw.join("")).toContain(MARK);
  for (const line of raw) {
    expect(line.indexOf("\n")).toBe(line.length - 1);
    expect([...line.slice(0, -1)].filter((character) => character < " ")).toEqual([]);
    const { level, msg } = JSON.parse(line);
    expect(`${level} ${msg}`).not.toMatch(/fatal|forged/);
  }
  for (const secret of [MARK, SECRET, USER.password]) expect(metrics).not.toContain(secret);
  expect(raw.join("")).not.toContain(SECRET);
  expect(raw.join("")).not.toContain(USER.password);
});
