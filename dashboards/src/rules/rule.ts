/** A series of a rule's test, in promtool's notation: values a minute apart, such as `0+10x20`. */
export type TestSeries = readonly [series: string, values: string];

export type Severity = "critical" | "warning" | "info";

/** An alert, with the series by which its test shows that it fires, and those with which it must not. */
export interface Alert {
  /** Name of the alert and of its page in docs/runbooks. */
  readonly name: string;
  /** critical: calls fail, or will in minutes. warning: somebody should look today. info: good to know. */
  readonly severity: Severity;
  /** How long the expression must hold. Absent: at once. */
  readonly for?: string;
  readonly expr: string;
  /** One line, without values. */
  readonly summary: string;
  /** With values: `{{ $labels.instance }}`, `{{ $value }}`. */
  readonly description: string;
  readonly fires: readonly TestSeries[];
  readonly quiet: readonly TestSeries[];
  /** When the test looks; it must fire then. Default: after 20 minutes. */
  readonly at?: string;
}

export interface AlertGroup {
  readonly name: string;
  readonly alerts: readonly Alert[];
}

export interface RecordingGroup {
  readonly name: string;
  readonly rules: readonly { readonly record: string; readonly expr: string }[];
}

/** Rule groups as Prometheus reads them. */
export function ruleGroupsOf(groups: readonly AlertGroup[]): readonly object[] {
  return groups.map(({ name, alerts }) => ({
    name,
    rules: alerts.map((alert) => ({
      alert: alert.name,
      expr: alert.expr,
      ...(alert.for === undefined ? {} : { for: alert.for }),
      labels: { severity: alert.severity },
      annotations: {
        summary: alert.summary,
        description: alert.description,
        runbook_url: `docs/runbooks/${alert.name}.md`,
      },
    })),
  }));
}
