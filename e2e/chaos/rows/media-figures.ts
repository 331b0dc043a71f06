import type { MediaReport } from "../media/messages.ts";
import type { Figure } from "../row.ts";

/** What holds of media after every fault that it is to live through: it flows, in order, and refreshes succeed. */
export function goesOn(
  report: MediaReport,
  { ordered = true }: { readonly ordered?: boolean } = {},
): readonly Figure[] {
  return [
    { what: "calls silent at the end", value: report.silentCalls, unit: "calls", atMost: 0 },
    { what: "packets out of order", value: report.reordered, unit: "packets", ...(ordered ? { atMost: 0 } : {}) },
    { what: "packets twice", value: report.duplicates, unit: "packets", atMost: 0 },
    {
      what: "refreshes that failed",
      value: report.refreshFailures.length,
      unit: "refreshes",
      atMost: 0,
      ...(report.refreshFailures.length === 0 ? {} : { note: tally(report.refreshFailures) }),
    },
    { what: "refreshes that succeeded", value: report.refreshes, unit: "refreshes", atLeast: 1 },
  ];
}

/** Each different text, and how often it is there. */
function tally(texts: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => `${count} x ${text}`).join("; ");
}

/** The same, and nothing was lost. */
export function lossless(report: MediaReport): readonly Figure[] {
  return [
    { what: "media packets lost", value: report.lost, unit: "packets", atMost: 0 },
    { what: "media packets sent", value: report.sent, unit: "packets", atLeast: 1 },
    { what: "longest silence", value: report.maxGapMs, unit: "ms" },
    ...goesOn(report),
  ];
}
