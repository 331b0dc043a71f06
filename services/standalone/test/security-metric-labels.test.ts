import { connectTurn } from "@culvert/turn-client";
import { expect, it } from "vitest";
import type { Ready } from "../src/ready.ts";
import { later, platformOnFreePorts } from "./harness.ts";

/** All there may be: each has few values, which the code knows beforehand. */
const LABELS: ReadonlySet<string> = new Set([
  "change",
  "code",
  "detail",
  "direction",
  "kind",
  "le",
  "method",
  "outcome",
  "reason",
  "result",
  "route",
  "scheme",
  "shape",
  "stat",
  "status",
  "subject",
  "transport",
  "type",
  "version",
  "via",
  "what",
]);

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

function samples(text: string): readonly Sample[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name = "", inner = ""] = /^([a-z_]\w*)(?:\{(.*)\})? \S+(?: \d+)?$/i.exec(line) ?? [];
      expect(name, line).not.toBe("");
      const pairs = [...inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = "", value = ""]) => [key, value]);
      return { name, labels: Object.fromEntries(pairs) };
    });
}

async function load(ready: Ready): Promise<void> {
  const headers = { authorization: `Bearer ${ready.token}`, "content-type": "application/json" };
  for (let index = 0; index < 20; index++) {
    const body = JSON.stringify({ ttl: 60, user: `mallory-${index}` });
    const answer = await fetch(`${ready.apiUrl}/v1/turn/keys/${ready.keyId}/credentials/generate`, {
      method: "POST",
      headers,
      body,
    });
    const issued: {
      readonly iceServers: { readonly urls: readonly string[]; readonly username: string; readonly credential: string };
    } = JSON.parse(await answer.text());
    await fetch(`${ready.apiUrl}/mallory-${index}`, { headers });
    await fetch(`${ready.apiUrl}/v1/tenants/mallory-${index}`, {
      headers: { authorization: `Bearer mallory-${index}` },
    });
    const { username, credential: password } = issued.iceServers;
    const uri = issued.iceServers.urls.filter((url) => url.startsWith("turn:"))[index % 2] ?? "";
    const client = await connectTurn({ uri, username, password });
    later(() => client.close());
    const { relayed } = await client.allocate();
    await client.channelBind(relayed);
    client.send(relayed, Buffer.from("to myself"));
    await client.createPermission(["10.9.8.7"]).catch(() => {});
    const wrong = await connectTurn({ uri, username: `mallory-${index}`, password });
    later(() => wrong.close());
    await wrong.allocate().catch(() => {});
  }
}

it("no metric has a label for a user, an address, a port or an allocation, under load", async () => {
  const ready = await (await platformOnFreePorts({ CULVERT_CREDENTIAL_FAILURES_BURST: "1000" })).start();
  await load(ready);
  const seen: Record<string, number> = {};
  for (const [service, url] of Object.entries(ready.opsUrls)) {
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).not.toMatch(/mallory|127\.0\.0\.1|10\.9\.8\.7/);
    const all = samples(text).filter(({ name }) => name !== "target_info");
    seen[service] = all.length;
    for (const { name, labels } of all) {
      expect(
        Object.keys(labels).filter((label) => !LABELS.has(label)),
        name,
      ).toEqual([]);
      for (const [label, value] of Object.entries(labels)) {
        if (label === "le") continue;
        expect(value, name).not.toMatch(/\d+\.\d+\.\d+\.\d+|::|\b\d{5,}\b/);
        expect(value.length, name).toBeLessThan(64);
      }
    }
    // Twenty users do not make twenty series of anything, but for the values that code lists.
    for (const name of new Set(all.map((sample) => sample.name))) {
      expect(all.filter((sample) => sample.name === name).length, name).toBeLessThan(60);
    }
  }
  expect(seen.relay).toBeGreaterThan(40);
});
