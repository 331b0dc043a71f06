import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ALERT_GROUPS } from "../src/rules/alerts.ts";
import { ruleGroupsOf } from "../src/rules/rule.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDER = "docs/runbooks";
const ALERTS = ALERT_GROUPS.flatMap(({ alerts }) => alerts);
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, "utf8");

it("each rule names its page, and no page is of an alert that is gone", () => {
  const written: { readonly rules: readonly { readonly annotations: { readonly runbook_url: string } }[] }[] =
    JSON.parse(JSON.stringify(ruleGroupsOf(ALERT_GROUPS)));
  const named = written.flatMap(({ rules }) => rules.map(({ annotations }) => annotations.runbook_url));
  const pages = readdirSync(`${ROOT}/${FOLDER}`).filter((name) => name !== "README.md");
  expect(named.toSorted()).toEqual(pages.map((name) => `${FOLDER}/${name}`).toSorted());
});

describe.each(ALERTS)("$name", ({ name, summary, severity, for: held }) => {
  const page = (): string => read(`${FOLDER}/${name}.md`);

  it("has a page that says what it means, how to see it and what to do", () => {
    const parts = page().split(/^## (.+)$/m);
    expect(parts[0]).toBe(
      `# ${name}\n\n${summary}. Severity: ${severity}${held === undefined ? "" : `, after ${held}`}.\n\n`,
    );
    expect([parts[1], parts[3], parts[5]]).toEqual(["What it means", "How to see it", "What to do"]);
    for (const index of [2, 4, 6]) expect(parts[index]?.trim().length).toBeGreaterThan(30);
    expect(parts[6]).toContain("1. ");
  });

  it("is in the list of pages, with its summary", () => {
    expect(read(`${FOLDER}/README.md`)).toContain(`| [${name}](${name}.md) | ${severity} | ${summary} |\n`);
  });

  it("has a page whose links lead somewhere", () => {
    for (const [, target = ""] of page().matchAll(/\]\(([^)#]+)/g)) {
      expect(existsSync(`${ROOT}/${FOLDER}/${target}`), target).toBe(true);
    }
  });

  it("has a page that names metrics that there are", () => {
    const guide = read("docs/guides/metrics.md");
    for (const [metric] of page().matchAll(/\b(?:culvert_(?:relay|credential|signaling|stun)|process|nodejs)_\w+/g)) {
      expect(guide, metric).toContain(`\`${metric}\``);
    }
  });
});
