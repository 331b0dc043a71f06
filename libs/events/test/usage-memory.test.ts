import { MemoryUsageStore } from "@culvert/events";
import { describeUsageLogContract, usageEvent } from "@culvert/events/contract";
import { expect, it } from "vitest";

describeUsageLogContract("memory", async () => {
  const store = new MemoryUsageStore();
  return { open: async () => store.open(), dispose: async () => {} };
});

it("keeps the last events of a process that nobody follows", async () => {
  const log = new MemoryUsageStore(3).open();
  for (let sequence = 0; sequence < 10; sequence++) log.append(usageEvent(sequence));
  const seen: number[] = [];
  await log.follow({ name: "late" }, ({ sequence }) => void seen.push(sequence));
  await expect.poll(() => seen).toEqual([7, 8, 9]);
  await log.close();
});
