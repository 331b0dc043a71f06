import type { TestSeries } from "./rule.ts";

/** A series of a test on one instance, `i`, of namespace `n`. */
export function sample(metric: string, values: string, labels = "", instance = "i"): TestSeries {
  return [`${metric}{namespace="n",instance="${instance}",job="j"${labels === "" ? "" : `,${labels}`}}`, values];
}

/** What says that an instance is one of ours. */
export function target(service: string, instance = "i"): TestSeries {
  return sample("target_info", "1x60", `service_namespace="culvert",service_name="${service}"`, instance);
}

/** Series of a histogram that grows by so many values a minute, each of which takes `le` seconds at most. */
export function histogram(metric: string, le: string, labels = ""): readonly TestSeries[] {
  const bucket = (bound: string, values: string): TestSeries =>
    sample(`${metric}_bucket`, values, `${labels === "" ? "" : `${labels},`}le="${bound}"`);
  const bounds = ["0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];
  return bounds.map((bound, index) => bucket(bound, index >= bounds.indexOf(le) ? "0+60x60" : "0x60"));
}
