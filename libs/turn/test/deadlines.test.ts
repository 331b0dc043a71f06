import { Attr, attribute } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Lab } from "./support/lab.ts";
import { allocate, refresh } from "./support/requests.ts";

const lifetime = fc.integer({ min: 600, max: 3600 });
const client = fc.record({
  lifetime,
  /** What happens to it later: nothing, its end, or a refresh. */
  later: fc.oneof(fc.constant(undefined), fc.constant(0), fc.constant(0), lifetime),
});

describe("pollTimeout", () => {
  it("is always the earliest of all deadlines, whatever was refreshed or deleted in between", () => {
    fc.assert(
      fc.property(fc.array(client, { minLength: 1, maxLength: 40, size: "max" }), (clients) => {
        const lab = new Lab();
        const living = clients.map(({ lifetime, later }, index) => {
          const one = lab.client({ port: 1000 + index });
          allocate(one, [attribute(Attr.Lifetime, lifetime)]);
          return { one, later, at: lab.now + lifetime * 1000 };
        });
        const ends = living.flatMap(({ one, later, at }) => {
          if (later === undefined) return [at];
          if (later > 0) {
            refresh(one, later);
            return [lab.now + later * 1000];
          }
          lab.server.handleClientClosed(one.tuple, lab.now);
          return [];
        });
        for (const end of [...new Set(ends)].sort((a, b) => a - b)) {
          expect(lab.server.pollTimeout()).toBe(end);
          lab.advance(end - lab.now);
          expect(lab.server.size).toBe(ends.filter((other) => other > end).length);
        }
        expect(lab.server.pollTimeout()).toBeUndefined();
      }),
      { numRuns: 40, seed: 6, endOnFailure: true },
    );
  });
});
