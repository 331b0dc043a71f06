import { TurnError } from "@culvert/turn-client";
import { describe, expect, it } from "vitest";
import { type Step, StepFailed, StepRunner } from "../src/steps.ts";

function runner(): { steps: StepRunner; seen: Step[] } {
  const seen: Step[] = [];
  let now = 0;
  return {
    steps: new StepRunner(
      () => (now += 5),
      (step) => seen.push(step),
    ),
    seen,
  };
}

describe("the steps of a probe", () => {
  it("are timed and described", async () => {
    const { steps, seen } = runner();
    expect(
      await steps.run(
        "allocate",
        async () => 7,
        (value) => `got ${value}`,
      ),
    ).toBe(7);
    expect(seen).toEqual([{ step: "allocate", ok: true, ms: 5, detail: "got 7" }]);
  });

  it("tell code and reason of an error response", async () => {
    const { steps, seen } = runner();
    const refused = new TurnError({
      kind: "response",
      step: "Allocate",
      code: 486,
      reason: "Allocation Quota Reached",
    });
    await expect(steps.run("allocate", () => Promise.reject(refused))).rejects.toThrow(StepFailed);
    expect(seen).toEqual([{ step: "allocate", ok: false, ms: 5, code: 486, reason: "Allocation Quota Reached" }]);
  });

  it("tell the message of any other failure", async () => {
    const { steps, seen } = runner();
    await expect(steps.run("connect", () => Promise.reject(new Error("refused")))).rejects.toThrow(StepFailed);
    expect(seen).toEqual([{ step: "connect", ok: false, ms: 5, reason: "refused" }]);
  });
});
