import type { Answer, TurnServer } from "@culvert/turn";
import { expect, test } from "vitest";
import { Answers } from "../src/fleet/answers.ts";

test("answers that come at once are handed over together, in their order", async () => {
  const runs: [number, Answer["kind"]][][] = [];
  const answers = new Answers({
    run(input) {
      const handed: [number, Answer["kind"]][] = [];
      const turn: Pick<TurnServer, "handleAnswer"> = { handleAnswer: (id, { kind }) => handed.push([id, kind]) };
      input(turn as TurnServer, 0);
      runs.push(handed);
    },
  });
  answers.add(1, { kind: "granted" });
  answers.add(2, { kind: "refused" });
  expect(runs).toEqual([]);
  await new Promise(setImmediate);
  answers.add(3, { kind: "stale" });
  await new Promise(setImmediate);
  expect(runs).toEqual([
    [
      [1, "granted"],
      [2, "refused"],
    ],
    [[3, "stale"]],
  ]);
});
