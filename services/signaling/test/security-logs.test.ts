import { createLogger, createMetrics } from "@culvert/telemetry";
import { expect, it } from "vitest";
import { Client, mint, start } from "./support.ts";

const HOSTILE = ["mallory\r\n{}", "mallory%n%s", "mallory*>.", 'mallory"} 1\n'];

it("keeps users, tokens, addresses and what they send out of logs and metrics at every level, one event a line", async () => {
  const raw: string[] = [];
  const logger = createLogger({
    service: "signaling",
    level: "trace",
    destination: { write: (line) => void raw.push(line) },
  });
  const metrics = createMetrics({ service: "signaling", process: false });
  const { info, service } = await start({}, { logger, metrics });
  const tokens: string[] = [];
  for (const user of HOSTILE) {
    const token = await mint({ user });
    const forged = await mint({ user, kid: "mallory-key" });
    tokens.push(token, forged);
    const client = new Client(info.url);
    await client.next("welcome");
    client.send("hello", { auth: token });
    client.send("room.join", {}, { room: user });
    client.send("connect.offer", { sdp: user }, { to: user });
    client.send(user, {}, { to: user });
    client.socket.send(user);
    await client.closed;
    const thief = new Client(info.url);
    await thief.next("welcome");
    thief.send("hello", { auth: forged });
    await thief.closed;
  }
  const text = await metrics.collect();
  await service.stop();
  const all = raw.join("") + text;
  for (const secret of ["mallory", "127.0.0.1:", ...tokens]) expect(all.replaceAll(info.url, "")).not.toContain(secret);
  for (const line of raw) {
    expect(line.indexOf("\n")).toBe(line.length - 1);
    expect(() => JSON.parse(line)).not.toThrow();
  }
  expect(text).toContain("culvert_signaling_");
});
