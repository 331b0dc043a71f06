import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { RULES } from "./prometheus.ts";

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly runbook_url: string };
}

interface RuleFile {
  readonly groups: readonly { readonly rules: readonly object[] }[];
}

/** The alerts as the chart ships them. */
export function shippedAlerts(): readonly AlertRule[] {
  const file: RuleFile = parse(readFileSync(`${RULES}/alerts.yaml`, "utf8"));
  return file.groups.flatMap(({ rules }) => rules.filter(isAlert));
}

function isAlert(rule: object): rule is AlertRule {
  return "alert" in rule && "expr" in rule;
}

/** The series that an expression reads: each selector, as it stands there. */
export function selectorsOf(expr: string): readonly string[] {
  const found = expr.matchAll(/(?<![\w:.{,"])((?:culvert|process|nodejs|target)[\w:]*|up)\b(?!\s*\()(\{[^}]*\})?/g);
  return [...new Set([...found].map(([, name = "", matchers = ""]) => `${name}${matchers}`))];
}
