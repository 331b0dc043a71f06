import { expect, test } from "vitest";
import { parseLimit } from "../src/descriptors.ts";
import { startRelay } from "./harness.ts";

test("a relay grants no more allocations than there are file descriptors to spare, and says so", async () => {
  const relay = await startRelay({ quotas: { total: 1000 } }, { descriptorLimit: 4 });
  const clients = await Promise.all([1, 2, 3].map(() => relay.connect("udp")));
  const answers = await Promise.all(
    clients.map((client) =>
      client.allocate().then(
        () => "granted",
        (error: unknown) => error,
      ),
    ),
  );
  expect(answers.filter((answer) => answer === "granted")).toHaveLength(2);
  expect(answers.filter((answer) => answer !== "granted")).toMatchObject([{ code: 508 }]);
  expect(await relay.metric("culvert_relay_requests_total", { code: "508" })).toBe(1);
  expect(relay.logs).toContainEqual(
    expect.objectContaining({
      level: "warn",
      msg: "relay.quotas.total: 1000: more than file descriptors allow: 2 allocations at most (raise the limit of open files)",
    }),
  );
});

test("a smaller total is left as it is", async () => {
  const relay = await startRelay({ quotas: { total: 1 } }, { descriptorLimit: 1000 });
  const [first, second] = [await relay.connect("udp"), await relay.connect("udp")];
  await first.allocate();
  await expect(second.allocate()).rejects.toMatchObject({ code: 508 });
  expect(relay.logs.filter(({ level }) => level === "warn").map(({ msg }) => msg)).not.toContainEqual(
    expect.stringContaining("file descriptors"),
  );
});

test.each([
  [
    "Limit                     Soft Limit           Hard Limit\nMax open files            20000     40000     files\n",
    20_000,
  ],
  ["Max open files            unlimited            unlimited            files\n", undefined],
  ["", undefined],
])("the soft limit of open files is read (%#)", (text, limit) => {
  expect(parseLimit(text)).toBe(limit);
});
