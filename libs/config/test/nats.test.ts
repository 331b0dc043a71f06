import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig, natsSection, readNatsAccess } from "@culvert/config";
import { expect, test } from "vitest";
import { z } from "zod";
import { temporaryFolder } from "./folder.ts";

const schema = z.strictObject({ nats: natsSection("Changes go over them.") });
const load = (env: Record<string, string>) => loadConfig(schema, { section: "signaling", env }).nats;
const servers = { CULVERT_SIGNALING_NATS_SERVERS: "nats-0:4222,tls://nats-1,[::1]:4222" };

test("absent unless something is set; a list of servers is enough", () => {
  expect(load({})).toBeUndefined();
  expect(load(servers)).toEqual({ servers: ["nats-0:4222", "tls://nats-1", "[::1]:4222"], pingInterval: 2 });
});

test.each([
  [{ CULVERT_SIGNALING_NATS_USER: "culvert" }, /^signaling\.nats\.servers: .*missing/],
  [{ CULVERT_SIGNALING_NATS_SERVERS: "nats://u:p@host:4222" }, /^signaling\.nats\.servers\[0\]: .*without a user/],
  [
    { ...servers, CULVERT_SIGNALING_NATS_USER: "culvert" },
    /^signaling\.nats\.password: .*user and password go together/,
  ],
  [{ ...servers, CULVERT_SIGNALING_NATS_PASSWORD: "open sesame" }, /^signaling\.nats\.user: .*go together/],
  [
    { ...servers, CULVERT_SIGNALING_NATS_TOKEN: "open sesame", CULVERT_SIGNALING_NATS_CREDENTIALS: "/x" },
    /^signaling\.nats\.token: \(secret\): .*only one/,
  ],
])("%j is refused in one line that names the key", (env, message) => {
  const text = failure(() => load(env));
  expect(text).toMatch(message);
  expect(text).not.toContain("\n");
  expect(text).not.toContain("sesame");
});

test("reads the files that are named, and refuses what is none", () => {
  const folder = temporaryFolder();
  const creds = join(folder, "user.creds");
  const read = () => readNatsAccess("signaling.nats", { servers: ["n"], credentials: creds, pingInterval: 2 });
  expect(failure(read)).toBe(`signaling.nats.credentials: ${creds}: must name a readable credentials file (ENOENT)`);
  writeFileSync(creds, "secret but no credentials");
  expect(failure(read)).toMatch(/^signaling\.nats\.credentials: .*JWT and seed/);
  const text = "-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n-----BEGIN USER NKEY SEED-----\ny\n";
  writeFileSync(creds, text);
  expect(read()).toEqual({ servers: ["n"], credentials: text, pingIntervalMs: 2000 });
});

function failure(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "no error";
}
