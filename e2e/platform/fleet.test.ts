import { afterEach, expect, test } from "vitest";
import { keeps } from "../chaos/row.ts";
import { ROWS } from "../chaos/rows/index.ts";
import { canMakeNamespaces } from "../chaos/support/namespaces.ts";
import { Stage } from "../chaos/support/stage.ts";

/** The faults that are the point of a fleet, in their short form; all of them, and long enough, are `make chaos`. */
const CORE: readonly number[] = [1, 4, 6, 7, 14, ...(canMakeNamespaces() ? [11] : [])];
const TIMEOUT_MS = 240_000;

let stage = new Stage();

afterEach(async () => {
  await stage.clear();
});

test.each(ROWS.filter(({ row }) => CORE.includes(row)).map((row) => [row.fault, row] as const))(
  "%s",
  async (_, row) => {
    stage = new Stage();
    const figures = await row.run(stage, "short");
    const missed = figures
      // How fast is for `make chaos`, on a machine that does nothing else.
      .filter((figure) => figure.unit !== "ms" && !keeps(figure))
      .map(({ what, value, unit }) => `${what}: ${value} ${unit}`);
    expect(missed).toEqual([]);
  },
  TIMEOUT_MS,
);
