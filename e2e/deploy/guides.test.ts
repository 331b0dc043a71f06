import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const GUIDES = ["quick-start", "production", "migration", "upgrade"].map((name) => `docs/guides/${name}.md`);

/** The anchor of a heading, as repositories' pages make it. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");

describe.each(GUIDES)("%s", (guide) => {
  const text = read(guide);

  test("links to what is there", () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link = ""]) => link);
    for (const link of links) {
      const [path = "", heading] = link.split("#");
      const file = join(ROOT, dirname(guide), path);
      expect(existsSync(file), link).toBe(true);
      if (heading !== undefined) {
        const headings = [...readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => anchor(title));
        expect(headings, link).toContain(heading);
      }
    }
  });

  test("names files and targets that are there", () => {
    const commands = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = ""]) => block).join("\n");
    for (const [path] of commands.matchAll(/(?<![\w/.-])(deploy|charts|scripts|cli)\/[\w./-]+/g)) {
      if (/\.env$/.test(path) || path === "cli/bin/culvert.js") continue;
      expect(existsSync(join(ROOT, path)), path).toBe(true);
    }
    const targets = read("Makefile");
    for (const [, target = ""] of commands.matchAll(/^make ([a-z-]+)/gm)) {
      expect(targets).toMatch(new RegExp(`^${target}:`, "m"));
    }
  });
});

describe("the chart", () => {
  const schema = JSON.parse(read("charts/culvert/values.schema.json"));
  // Values of a guide are part of a release's: nothing is required of them.
  const validate = new Ajv({ strict: false, allErrors: true }).compile(
    JSON.parse(JSON.stringify(schema, (key, value) => (key === "required" || key === "allOf" ? undefined : value))),
  );
  const values = GUIDES.flatMap((guide) =>
    [...read(guide).matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = ""]) => [guide, block] as const),
  );

  test.each([...values, ["deploy/kind-values.yaml", read("deploy/kind-values.yaml")] as const])(
    "takes the values of %s",
    (_guide, block) => {
      validate(parse(block));
      expect(validate.errors, block).toBeNull();
    },
  );

  test("has every value that the guides name", () => {
    const defaults: unknown = parse(read("charts/culvert/values.yaml"));
    const at = (path: string): unknown =>
      path.split(".").reduce<unknown>((node, key) => (node === undefined ? undefined : Object(node)[key]), defaults);
    const named = [
      read("docs/guides/production.md"),
      read("docs/guides/quick-start.md"),
      read("docs/guides/upgrade.md"),
    ]
      .flatMap((text) => [...text.matchAll(/`((?:redis|nats|tls|secrets|monitoring|stun)\.[A-Za-z.]+)[`:]/g)])
      .map(([, path = ""]) => path)
      .filter((path) => !/^(stun|relay)\.(listeners|alternate)/.test(path));
    expect(named.length).toBeGreaterThan(5);
    for (const path of named) expect(at(path), path).not.toBeUndefined();
  });
});

describe("the ports", () => {
  test("of the table are those of the chart", () => {
    const text = read("docs/guides/production.md");
    const { relay, stun, credential, signaling } = parse(read("charts/culvert/values.yaml"));
    const rows = text.split("\n").filter((line) => line.startsWith("| "));
    const row = (from: string, to: string): string => rows.find((line) => line.startsWith(`| ${from} | ${to} |`)) ?? "";
    expect(row("clients", "relays")).toContain(`${relay.listeners.udp.port} UDP and TCP`);
    expect(relay.listeners.tcp.port).toBe(relay.listeners.udp.port);
    expect(text).toContain(`| clients | relays | ${relay.listeners.tls.port} TCP, or 443 |`);
    expect(row("peers, other relays", "relays")).toContain(`${relay.ports.min} to ${relay.ports.max} UDP`);
    expect(row("clients", "STUN servers")).toContain(
      `${stun.listeners.udp.port} UDP and TCP, ${stun.behaviourDiscovery.port} UDP, ${stun.listeners.tls.port} TCP`,
    );
    expect(row("STUN servers", "their partners")).toContain(`${stun.behaviourDiscovery.partnerPort} TCP`);
    expect(row("relays", "each other")).toContain(`${relay.meshPort} UDP`);
    expect(row("application servers", "credential")).toContain(`${credential.service.port} TCP`);
    expect(row("browsers", "signaling")).toContain(`${signaling.service.port} TCP`);
    expect(row("relays, signaling", "credential")).toContain(`${credential.keyFeed.port} TCP`);
    expect(row("operators", "relays")).toContain(`${relay.admin.port} TCP`);
    expect(row("Prometheus, probes", "all")).toContain(`${relay.opsPort} relay, ${stun.opsPort} STUN`);
  });
});

describe("the figures of the production guide", () => {
  const guide = read("docs/guides/production.md");
  const measured = read("docs/performance.md");

  /** What the guide says -> what was measured: when that is measured again, the guide is to follow. */
  test.each([
    ["251,300, the generator's limit", "| `udp-channel-200`, packets/s | 251,300 ("],
    ["| 7.6 us |", "| `udp-channel-200-cpu`, us a packet at 104,200/s | 7.56 ("],
    ["| 9.0 us |", "| us CPU a packet at 100,000/s | 9.04 ("],
    ["1.03 times where packets come in batches", "| 6.33 us | 6.25-6.39 | 1.03 |"],
    ["up to twice where each comes on its own", "1.6 to 2.1 times the direct way"],
    ["23 us median", "| `latency-p50`, us at 77,900/s | 23.4 ("],
    ["0.5 ms p99", "| `latency-p99`, us | 505 ("],
    ["5,168 on one core", "| `allocate`, set-ups/s | 5,168 ("],
    ["10.4 kB", "| `memory`, bytes an allocation | 10,420 |"],
    ["204 MB at most", "| 196-204 MB |"],
    ["| 16 |", "| scripts a call | 15.87 | 15.79 |"],
    ["1.2 to 1.6 ms", "| 1,611 us | 1,246 us |"],
    ["2.1 to 2.2 kB", "| 2,072 B | 2,221 B |"],
    ["13.6 kB", "| 13,630 | 13,600 |"],
    ["3.9 scripts a second", "3.9 scripts a second"],
    ["16 us a packet for UDP on the portable one", "| `udp-channel-200-cpu` | 16.3 |"],
  ])("%s", (said, figure) => {
    expect(guide).toContain(said);
    expect(measured).toContain(figure);
  });
});
