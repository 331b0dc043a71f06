import { expect, it } from "vitest";
import { dashboardOf } from "../src/board.ts";
import { BOARDS } from "../src/boards/index.ts";

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly refId: string; readonly datasource: unknown }[];
}

/** The dashboard as it is written. */
function written(board: (typeof BOARDS)[number]): { readonly panels: readonly Panel[]; readonly templating: unknown } {
  return JSON.parse(JSON.stringify(dashboardOf(board)));
}

const dataPanels = (panels: readonly Panel[]): readonly Panel[] =>
  panels.filter(({ type }) => type !== "row" && type !== "text");

it("there are those that operators ask for", () => {
  expect(BOARDS.map(({ name }) => name)).toEqual(["fleet", "relay", "signaling", "credentials", "failures"]);
});

it.each(BOARDS)("$name: each panel says what it shows, and in what", (board) => {
  const { panels } = written(board);
  for (const panel of panels) {
    if (panel.type === "row") continue;
    expect(panel.description?.length, panel.title).toBeGreaterThan(10);
    expect(panel.title).not.toBe("");
  }
  for (const { title, fieldConfig, targets } of dataPanels(panels)) {
    expect(fieldConfig?.defaults.unit, title).toBeTruthy();
    expect(targets?.length, title).toBeGreaterThan(0);
  }
});

it.each(BOARDS)("$name: each query asks the chosen data source for what was chosen", (board) => {
  for (const { title, targets = [] } of dataPanels(written(board).panels)) {
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    for (const { expr, datasource } of targets) {
      expect(datasource).toEqual({ type: "prometheus", uid: "$datasource" });
      if (expr.includes("ALERTS{")) continue;
      const metrics = expr.match(/\b(?:culvert|process|nodejs)_\w+/g) ?? [];
      const chosen = expr.match(/\{namespace=~"\$namespace",instance=~"\$instance"/g) ?? [];
      expect(chosen, `${title}: ${expr}`).toHaveLength(metrics.length);
      // A rate over a fixed time lies when one zooms.
      expect(expr).not.toMatch(/\[\d+[smhd]\]/);
    }
  }
});

it.each(BOARDS)("$name: one chooses a data source, namespaces and instances", (board) => {
  const { templating } = written(board);
  expect(templating).toMatchObject({
    list: [
      { name: "datasource", type: "datasource", query: "prometheus" },
      { name: "namespace", type: "query", includeAll: true, multi: true, allValue: ".*" },
      { name: "instance", type: "query", includeAll: true, multi: true },
    ],
  });
});

it.each(BOARDS)("$name: panels have ids of their own and lie side by side", (board) => {
  const { panels } = written(board);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const taken = new Set<string>();
  for (const { title, gridPos } of panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(taken.has(`${x} ${y}`), title).toBe(false);
        taken.add(`${x} ${y}`);
      }
    }
  }
});
