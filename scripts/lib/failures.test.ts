import { describe, expect, it } from "vitest";
import { cargoFailures, vitestFailures } from "./failures.ts";

describe("what failed, told at the end of a run", () => {
  it("names the file, the test and the reason of each test that failed, and nothing that passed", () => {
    const report = {
      testResults: [
        {
          name: "/src/libs/a/test/one.test.ts",
          status: "failed",
          message: "",
          assertionResults: [
            { fullName: "a relay answers", status: "passed", failureMessages: [] },
            { fullName: "a relay drains", status: "failed", failureMessages: ["Error: timed out\n    at line 3"] },
          ],
        },
        { name: "/src/libs/a/test/two.test.ts", status: "passed", message: "", assertionResults: [] },
      ],
    };
    expect(vitestFailures(report, "/src")).toEqual([
      "FAILED libs/a/test/one.test.ts: a relay drains\n    Error: timed out\n        at line 3",
    ]);
  });

  it("names a file whose tests passed and whose hook threw", () => {
    const report = {
      testResults: [
        {
          name: "/src/a.test.ts",
          status: "failed",
          message: "Error: the hook hung",
          assertionResults: [{ fullName: "works", status: "passed" }],
        },
      ],
    };
    expect(vitestFailures(report, "/src")).toEqual(["FAILED a.test.ts\n    Error: the hook hung"]);
  });

  it("keeps a long reason short", () => {
    const reason = Array.from({ length: 100 }, (_, line) => `line ${line}`).join("\n");
    const report = {
      testResults: [
        {
          name: "/src/a.test.ts",
          status: "failed",
          assertionResults: [{ fullName: "works", status: "failed", failureMessages: [reason] }],
        },
      ],
    };
    const [text = ""] = vitestFailures(report, "/src");
    expect(text.split("\n").length).toBeLessThan(20);
    expect(text).toContain("line 0");
  });

  it("names each Rust test that failed, with what it printed", () => {
    const output = [
      "running 2 tests",
      "",
      "failures:",
      "",
      "---- relay::keeps stdout ----",
      "thread 'relay::keeps' panicked at src/relay.rs:3:5:",
      "assertion failed: left == right",
      "",
      "---- relay::drops stdout ----",
      "thread 'relay::drops' panicked at src/relay.rs:9:5:",
      "",
      "",
      "failures:",
      "    relay::drops",
      "    relay::keeps",
      "",
      "test result: FAILED. 0 passed; 2 failed;",
    ].join("\n");
    expect(cargoFailures(output)).toEqual([
      "FAILED cargo: relay::keeps\n    thread 'relay::keeps' panicked at src/relay.rs:3:5:\n    assertion failed: left == right",
      "FAILED cargo: relay::drops\n    thread 'relay::drops' panicked at src/relay.rs:9:5:",
    ]);
  });
});
