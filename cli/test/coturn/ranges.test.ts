import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cidrsOf, commonSpans, type IpSpan, parseSpan, withoutSpans } from "../../src/coturn/ranges.ts";

const span = (text: string): IpSpan => {
  const found = parseSpan(text);
  if (found === undefined) throw new Error(`${text} is no range`);
  return found;
};

/** Spans among the 256 addresses of 10.0.0.0/24. */
const spans = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 255 })).map(([a, b]) => {
    return span(`10.0.0.${Math.min(a, b)}-10.0.0.${Math.max(a, b)}`);
  }),
  { maxLength: 6 },
);
const holds = (list: readonly IpSpan[], last: number): boolean => {
  const value = span(`10.0.0.${last}`).first;
  return list.some(({ first, last: end }) => first <= value && value <= end);
};
const ALL = Array.from({ length: 256 }, (_, last) => last);

describe("ranges of addresses", () => {
  it.each([
    ["10.0.0.0-10.255.255.255", ["10.0.0.0/8"]],
    ["83.166.64.0-83.166.95.255", ["83.166.64.0/19"]],
    ["10.0.0.1-10.0.0.6", ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]],
    ["0.0.0.0-255.255.255.255", ["0.0.0.0/0"]],
    ["::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ["::/0"]],
    ["fd00::1", ["fd00::1/128"]],
    ["192.168.1.77/16", ["192.168.0.0/16"]],
  ])("%s is %j", (text, cidrs) => {
    expect(cidrsOf([span(text)])).toEqual(cidrs);
  });

  it.each([
    "",
    "10.0.0.0-",
    "10.0.0.2-10.0.0.1",
    "10.0.0.1-::1",
    "10.0.0.0/33",
    "a.example",
    "1.2.3.4-1.2.3.5-1.2.3.6",
  ])("%j is none", (text) => {
    expect(parseSpan(text)).toBeUndefined();
  });

  it("become CIDR ranges that hold exactly them, none within another", () => {
    fc.assert(
      fc.property(spans, (list) => {
        const cidrs = cidrsOf(list).map(span);
        expect(ALL.filter((last) => holds(cidrs, last))).toEqual(ALL.filter((last) => holds(list, last)));
        for (const one of cidrs) expect(commonSpans([one], cidrs)).toHaveLength(1);
      }),
    );
  });

  it("are cut by holes, and cross, as sets do", () => {
    fc.assert(
      fc.property(spans, spans, (list, others) => {
        const [rest, common] = [withoutSpans(list, others), commonSpans(list, others)];
        const [a, b] = [list, others].map((of) => new Set(ALL.filter((last) => holds(of, last))));
        expect(ALL.filter((last) => holds(rest, last))).toEqual(ALL.filter((last) => a?.has(last) && !b?.has(last)));
        expect(ALL.filter((last) => holds(common, last))).toEqual(ALL.filter((last) => a?.has(last) && b?.has(last)));
      }),
    );
  });
});
