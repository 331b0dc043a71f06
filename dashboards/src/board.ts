import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DATASOURCE, GRID, type PanelSpec, panelOf, sizeOf } from "./panel.ts";

export interface Row {
  readonly title: string;
  readonly panels: readonly PanelSpec[];
}

/** A dashboard, as it is thought of: rows of panels, and what one chooses among. */
export interface Board {
  /** Name of the file, and of the dashboard in URLs after `culvert-`. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** A metric that each instance that can be chosen has, and matchers of its series. */
  readonly instancesOf: { readonly metric: string; readonly matchers?: string };
  readonly rows: readonly Row[];
}

const TAG = "culvert";

/** The dashboard as Grafana takes it. */
export function dashboardOf(board: Board): Dashboard {
  const builder = new DashboardBuilder(board.title)
    .uid(`culvert-${board.name}`)
    .description(board.description)
    .tags([TAG])
    .time({ from: "now-1h", to: "now" })
    .refresh("30s")
    .timezone("browser")
    .tooltip(DashboardCursorSync.Crosshair)
    .version(1)
    .link(
      new DashboardLinkBuilder("Culvert")
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    )
    .variables(variables(board));
  place(board, builder);
  return builder.build();
}

/**
 * An empty namespace is one, too: outside of Kubernetes there is none. All instances are named one by one, so that
 * `process_…` metrics are those of this service.
 */
function variables({ instancesOf: { metric, matchers } }: Board): (DatasourceVariableBuilder | QueryVariableBuilder)[] {
  const of = (...more: readonly string[]): string =>
    `${metric}{${[...(matchers === undefined ? [] : [matchers]), ...more].join(",")}}`;
  const query = (name: string, label: string, definition: string): QueryVariableBuilder =>
    new QueryVariableBuilder(name)
      .label(label)
      .datasource(DATASOURCE)
      .definition(definition)
      .query({ qryType: 1, query: definition, refId: `variable-${name}` })
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      .current({ text: ["All"], value: ["$__all"], selected: true });
  return [
    new DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"),
    query("namespace", "Namespace", `label_values(${of()}, namespace)`).allValue(".*"),
    query("instance", "Instance", `label_values(${of('namespace=~"$namespace"')}, instance)`),
  ];
}

/** Panels from left to right, rows from top to bottom. */
function place({ rows }: Board, builder: DashboardBuilder): void {
  let id = 0;
  let y = 0;
  for (const { title, panels } of rows) {
    builder.withRow(new RowBuilder(title).id(++id).gridPos({ x: 0, y, w: GRID, h: 1 }));
    y += 1;
    let x = 0;
    let rowHeight = 0;
    for (const panel of panels) {
      const { width, height } = sizeOf(panel);
      if (x + width > GRID) {
        y += rowHeight;
        x = 0;
        rowHeight = 0;
      }
      builder.withPanel(panelOf(panel, { id: ++id, x, y }));
      x += width;
      rowHeight = Math.max(rowHeight, height);
    }
    y += rowHeight;
  }
}
