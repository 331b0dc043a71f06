import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  BigValueColorMode,
  BigValueGraphMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import { type Panel, ThresholdsConfigBuilder, ThresholdsMode } from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TextBuilder, TextMode } from "@grafana/grafana-foundation-sdk/text";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import type { Query } from "./query.ts";

/** Names the data source that the dashboard's variable chose. */
export const DATASOURCE: { readonly type: string; readonly uid: string } = { type: "prometheus", uid: "$datasource" };

/** Width of a dashboard in Grafana's grid. */
export const GRID = 24;

/** Units, by Grafana's names. */
export type Unit =
  | "short"
  | "none"
  | "reqps"
  | "pps"
  | "bps"
  | "cps"
  | "ops"
  | "s"
  | "bytes"
  | "percentunit"
  | "dateTimeFromNow";

/** Values from which a colour holds; the first has none and holds below. */
export type Steps = readonly (readonly [from: number | null, color: "green" | "orange" | "red" | "blue" | "text"])[];

interface Common {
  readonly title: string;
  /** What one sees, and what is right. */
  readonly description: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  readonly steps?: Steps;
  readonly max?: number;
}

export interface Graph extends Common {
  readonly kind: "graph";
  /** Whether the series add up to something. */
  readonly stacked?: boolean;
  /** Columns of 24. Default 8. */
  readonly width?: number;
}

export interface Stat extends Common {
  readonly kind: "stat";
  /** Default 3. */
  readonly width?: number;
}

export interface Table extends Common {
  readonly kind: "table";
  /** Default 12. */
  readonly width?: number;
}

/** Words, in Markdown. */
export interface Note {
  readonly kind: "note";
  readonly title: string;
  readonly text: string;
  readonly width?: number;
  readonly height?: number;
}

export type PanelSpec = Graph | Stat | Table | Note;

const STAT_HEIGHT = 4;
const GRAPH_HEIGHT = 8;

/** The columns and rows that a panel takes. */
export function sizeOf(spec: PanelSpec): { readonly width: number; readonly height: number } {
  switch (spec.kind) {
    case "stat":
      return { width: spec.width ?? 3, height: STAT_HEIGHT };
    case "graph":
      return { width: spec.width ?? 8, height: GRAPH_HEIGHT };
    case "table":
      return { width: spec.width ?? 12, height: GRAPH_HEIGHT };
    case "note":
      return { width: spec.width ?? 12, height: spec.height ?? GRAPH_HEIGHT };
  }
}

interface Place {
  readonly id: number;
  readonly x: number;
  readonly y: number;
}

export function panelOf(spec: PanelSpec, { id, x, y }: Place): Builder<Panel> {
  const { width: w, height: h } = sizeOf(spec);
  const gridPos = { x, y, w, h };
  switch (spec.kind) {
    case "stat":
      return statOf(spec).id(id).gridPos(gridPos);
    case "graph":
      return graphOf(spec).id(id).gridPos(gridPos);
    case "table":
      return tableOf(spec).id(id).gridPos(gridPos);
    case "note":
      return new TextBuilder()
        .title(spec.title)
        .description(spec.title)
        .mode(TextMode.Markdown)
        .content(spec.text)
        .id(id)
        .gridPos(gridPos);
  }
}

const REF_IDS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

function targets(queries: readonly Query[], { instant }: { readonly instant: boolean }): DataqueryBuilder[] {
  return queries.map(({ expr, legend }, index) => {
    const query = new DataqueryBuilder()
      .expr(expr)
      .legendFormat(legend)
      .refId(REF_IDS[index] ?? "Z")
      .datasource(DATASOURCE);
    return instant ? query.instant() : query.range().exemplar(expr.includes("_bucket{"));
  });
}

function thresholds(steps: Steps): ThresholdsConfigBuilder {
  return new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps(steps.map(([value, color]) => ({ value, color })));
}

function statOf({ title, description, unit, queries, steps, max }: Stat): StatBuilder {
  const stat = new StatBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .targets(targets(queries, { instant: false }))
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
    .graphMode(BigValueGraphMode.Area)
    .colorMode(steps === undefined ? BigValueColorMode.None : BigValueColorMode.Value)
    .thresholds(thresholds(steps ?? [[null, "text"]]));
  return max === undefined ? stat : stat.max(max);
}

function graphOf({ title, description, unit, queries, steps, max, stacked }: Graph): TimeseriesBuilder {
  const graph = new TimeseriesBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .min(0)
    .lineWidth(1)
    .fillOpacity(stacked === true ? 30 : 5)
    .targets(targets(queries, { instant: false }))
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(["lastNotNull", "max"]),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (stacked === true) graph.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group("A"));
  if (steps !== undefined) graph.thresholds(thresholds(steps));
  return max === undefined ? graph : graph.max(max);
}

function tableOf({ title, description, unit, queries }: Table): TableBuilder {
  const all = targets(queries, { instant: true }).map((target) => target.format(PromQueryFormat.Table));
  return new TableBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .targets(all)
    .withTransformation({ id: "organize", options: { excludeByName: { Time: true } } });
}
