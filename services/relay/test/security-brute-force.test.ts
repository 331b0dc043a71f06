import { Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { startRelay, USER } from "./harness.ts";
import { UDP_TRANSPORT } from "./requests.ts";
import { Wire } from "./wire.ts";

const BOB = { username: "bob", password: "builder" };
const RELAY = {
  auth: { users: [USER, BOB] },
  // Nothing comes back during the test.
  limits: { wrongPasswordsPerSecond: 0.001, wrongPasswordsBurst: 5 },
};

test("who guesses passwords is not told the right one, either; others at the same address are served", async () => {
  const relay = await startRelay(RELAY);
  const [owner, guesser, bob] = [await Wire.open(relay), await Wire.open(relay), await Wire.open(relay, BOB)];
  await owner.request(Method.Allocate, [UDP_TRANSPORT]);
  await guesser.challenge();
  const guess = async (password: string) =>
    (await guesser.tryAsk(guesser.session.request(Method.Allocate, [UDP_TRANSPORT], { password }))).outcome;
  const outcomes: unknown[] = [];
  for (let index = 0; index < 8; index++) outcomes.push(await guess(`guess ${index}`));
  expect(outcomes).toEqual([401, 401, 401, 401, 401, "none", "none", "none"]);
  expect(await guess(USER.password)).toBe("none");
  expect(relay.service.allocations()).toBe(1);

  // Another port of the same source is the same guesser.
  const again = await Wire.open(relay);
  await again.challenge();
  expect((await again.tryAsk(again.session.request(Method.Allocate, [UDP_TRANSPORT]))).outcome).toBe("none");
  expect(await relay.metric("culvert_relay_dropped_total", { reason: "rate-limited" })).toBe(5);

  expect((await owner.request(Method.Refresh)).outcome).toBe("success");
  expect((await bob.request(Method.Allocate, [UDP_TRANSPORT])).outcome).toBe("success");
  const elsewhere = await Wire.open(relay, { ip: "127.0.0.2" });
  expect((await elsewhere.request(Method.Allocate, [UDP_TRANSPORT])).outcome).toBe("success");
});
