import { readFileSync } from "node:fs";
import { CLIENT_MESSAGES, CloseCode, DEFAULT_LIMITS, ERRORS, SERVER_MESSAGES, SUBPROTOCOL } from "@culvert/rendezvous";
import { SIGNALING_PATH } from "@culvert/signaling-service";
import { describe, expect, it } from "vitest";

const guide = readFileSync(new URL("../../../docs/guides/signaling.md", import.meta.url), "utf8");

/** The rows of the tables under a heading, up to the next one. */
function rows(heading: string): string[] {
  const section = guide.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  return section.split("\n").filter((line) => line.startsWith("|"));
}

const names = (line: string): string[] =>
  [...(line.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? "");

describe("the signaling guide", () => {
  it("lists exactly the types that there are", () => {
    const listed = new Set(rows("Types").flatMap(names));
    expect(listed).toEqual(new Set([...Object.keys(CLIENT_MESSAGES), ...Object.keys(SERVER_MESSAGES)]));
  });

  it("lists exactly the errors that there are, with their close codes", () => {
    const listed = rows("Errors").flatMap((line) => {
      const close = /\| (\d{4}) \|/.exec(line)?.[1];
      return names(line).map((code) => [code, close === undefined ? undefined : Number(close)] as const);
    });
    const expected = Object.entries(ERRORS).map(([code, { close }]) => [code, close] as const);
    expect(listed.toSorted()).toEqual(expected.toSorted());
    expect(listed.every(([, close]) => close === undefined || Object.values<number>(CloseCode).includes(close))).toBe(
      true,
    );
  });

  it("names the path, the subprotocol and the limits as they are", () => {
    expect(guide).toContain(`${SIGNALING_PATH}        subprotocol: ${SUBPROTOCOL}`);
    expect(guide).toContain(`at most ${DEFAULT_LIMITS.depth} levels deep`);
    expect(guide).toContain(`${DEFAULT_LIMITS.outboxMessages} messages or ${DEFAULT_LIMITS.outboxBytes / 1024} KiB`);
    expect(guide).toContain(`"helloTimeoutMs":${DEFAULT_LIMITS.helloTimeoutMs}`);
    expect(guide).toContain(`after ${DEFAULT_LIMITS.violations} of them`);
  });
});
