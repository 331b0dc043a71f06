import { describe, expect, it } from "vitest";
import { fuzz } from "../src/engine.ts";
import { Random } from "../src/random.ts";
import { type FuzzTarget, finding, TIME_LIMIT } from "../src/target.ts";
import { planted } from "./planted.ts";

const corpus = [new Uint8Array(8)];

describe("the fuzzer", () => {
  it("finds a crash behind three right bytes, step by step, and shrinks its input to them", () => {
    const { crash, discoveries } = fuzz(planted, { seed: 1, corpus, maxExecutions: 200_000 });
    expect(crash?.input).toEqual(new Uint8Array([0xca, 0x5e, 0xb1]));
    expect(crash?.error).toEqual(new Error("found it"));
    expect(discoveries.map((input) => input.findIndex((byte, i) => byte !== [0xca, 0x5e][i]))).toEqual([1, 2]);
  });

  it("tries the same inputs for the same seed", () => {
    const tried = (seed: number): string[] => {
      const inputs: string[] = [];
      const run = (input: Uint8Array): void => void inputs.push(Buffer.from(input).toString("hex"));
      fuzz({ name: "record", maxLength: 16, covers: [], run }, { seed, corpus, maxExecutions: 500 });
      return inputs;
    };
    expect(tried(1)).toEqual(tried(1));
    expect(tried(1)).not.toEqual(tried(2));
    expect(tried(1).length).toBe(501);
    expect(tried(1).every((input) => input.length <= 32)).toBe(true);
  });

  it("finds what the corpus has", () => {
    const input = new Uint8Array([0xca, 0x5e, 0xb1, 1, 2, 3]);
    const { crash } = fuzz(planted, { seed: 1, corpus: [input], maxExecutions: 0 });
    expect(crash?.input).toEqual(input.slice(0, 3));
  });

  it("stops when it is told to", () => {
    let batches = 0;
    const expired = (): boolean => ++batches > 3;
    const { executions, crash } = fuzz({ ...planted, run: () => {} }, { seed: 1, corpus, expired });
    expect(crash).toBeUndefined();
    expect(executions).toBe(3 * 256);
  });

  it("lets a target put right what changes broke", () => {
    const seen = new Set<number>();
    const target: FuzzTarget = {
      name: "repaired",
      maxLength: 8,
      covers: [],
      run: (input) => void seen.add(input[0] ?? -1),
      repair: (input) => new Uint8Array([42, ...input.subarray(1)]),
    };
    const repaired = { ...target, run: (input: Uint8Array) => target.run(input) };
    fuzz(repaired, { seed: 1, corpus, maxExecutions: 300 });
    expect(seen).toContain(42);
    expect(seen.size).toBeGreaterThan(1);
  });
});

describe("a finding", () => {
  it("is what was thrown, whatever it is", () => {
    const throwing = (thrown: unknown): FuzzTarget => ({
      ...planted,
      run: () => {
        throw thrown;
      },
    });
    expect(finding(throwing("text"), new Uint8Array())).toBe("text");
    expect(finding(throwing(undefined), new Uint8Array())).toBeInstanceOf(Error);
  });

  it("is that an input takes the processor too long, not that others had it meanwhile", () => {
    const spinning = (): void => {
      const before = process.cpuUsage();
      // Asking takes the system's time rather than this one's: it is asked seldom.
      while (process.cpuUsage(before).user < 1.1 * TIME_LIMIT * 1000) for (let turn = 0; turn < 1e6; turn++);
    };
    const waiting = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1.1 * TIME_LIMIT);
    expect(finding({ ...planted, run: spinning }, new Uint8Array())).toMatchObject({
      message: expect.stringMatching(/^took \d+ ms$/),
    });
    expect(finding({ ...planted, run: waiting }, new Uint8Array())).toBeUndefined();
  });

  it("is nothing for an input that the target stands", () => {
    expect(finding(planted, new Uint8Array(4))).toBeUndefined();
  });
});

describe("the random generator", () => {
  it("is even enough", () => {
    const random = new Random(7);
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) {
      const at = random.below(16);
      counts[at] = (counts[at] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
