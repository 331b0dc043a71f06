import { parseArgs } from "node:util";
import { useRunFolder } from "@culvert/testkit";
import { type Figure, keeps, limitOf, type Row, type Scale } from "./row.ts";
import { ROWS } from "./rows/index.ts";
import { Stage } from "./support/stage.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** `make chaos`: every fault in turn, its figures against their limits, one JSON line a figure. */
async function main(): Promise<void> {
  useRunFolder();
  const { values } = parseArgs({
    options: { only: { type: "string" }, scale: { type: "string", default: "full" } },
  });
  const { scale } = values;
  if (scale !== "full" && scale !== "short") throw new Error(`--scale: ${scale}: must be full or short`);
  const wanted = values.only?.split(",").map(Number);
  const unknown = wanted?.find((number) => !ROWS.some(({ row }) => row === number));
  if (unknown !== undefined) {
    throw new Error(`--only: ${unknown}: must be one of ${ROWS.map(({ row }) => row).join(", ")}`);
  }
  let failed = 0;
  let passed = 0;
  for (const row of ROWS.filter((one) => wanted?.includes(one.row) ?? true)) {
    const ok = await attempt(row, scale);
    if (ok) passed++;
    else failed++;
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

async function attempt(row: Row, scale: Scale): Promise<boolean> {
  process.stdout.write(`\n${row.row}. ${row.fault}\n`);
  const stage = new Stage();
  const stop = (): void => void stage.clear().finally(() => process.exit(130));
  for (const signal of SIGNALS) process.once(signal, stop);
  const start = performance.now();
  try {
    const figures = await row.run(stage, scale);
    for (const figure of figures) print(row, figure);
    const seconds = (performance.now() - start) / 1000;
    process.stdout.write(`   ${seconds.toFixed(0)} s\n`);
    return figures.every(keeps);
  } catch (error) {
    process.stdout.write(`   FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return false;
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
    await stage.clear().catch((error: unknown) => process.stdout.write(`   ${String(error)}\n`));
  }
}

function print({ row, fault }: Row, figure: Figure): void {
  const { what, value, unit } = figure;
  const shown = Number.isInteger(value) ? String(value) : value.toFixed(1);
  const limit = limitOf(figure);
  const verdict = limit === "" ? "" : keeps(figure) ? "ok" : "MISSED";
  process.stdout.write(
    `   ${what.padEnd(56)} ${`${shown} ${unit}`.padStart(16)}   ${limit.padEnd(22)} ${verdict}`.trimEnd().concat("\n"),
  );
  const { atMost, atLeast, note } = figure;
  if (note !== undefined) process.stdout.write(`      ${note}\n`);
  process.stdout.write(`${JSON.stringify({ chaos: row, fault, what, value, unit, atMost, atLeast, note })}\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
