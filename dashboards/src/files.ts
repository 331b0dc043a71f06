import { stringify } from "yaml";
import { dashboardOf } from "./board.ts";
import { BOARDS } from "./boards/index.ts";
import { ALERT_GROUPS } from "./rules/alerts.ts";
import { RECORDING_GROUPS } from "./rules/recording.ts";
import { ruleGroupsOf } from "./rules/rule.ts";

/** What is generated into the chart: texts by path from the root of the repository. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const yaml = (groups: object): string =>
    `# Generated from dashboards/src/rules: change that, and run 'make generate'.\n${stringify(groups, { lineWidth: 0 })}`;
  return new Map([
    ...BOARDS.map(
      (board) =>
        [`charts/culvert/dashboards/${board.name}.json`, `${JSON.stringify(dashboardOf(board), null, 2)}\n`] as const,
    ),
    ["charts/culvert/rules/recording.yaml", yaml({ groups: RECORDING_GROUPS })] as const,
    ["charts/culvert/rules/alerts.yaml", yaml({ groups: ruleGroupsOf(ALERT_GROUPS) })] as const,
  ]);
}
