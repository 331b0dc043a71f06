import { readFileSync } from "node:fs";
import { CertificateKeeper, type GrpcServerTls, GrpcTlsKeeper, type Host, runMain, secret } from "@culvert/config";
import { mountVolume, testCertificate } from "@culvert/testkit";
import { expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";

const logger = () => ({ info: vi.fn(), error: vi.fn() });

function mounted(files: Readonly<Record<string, string>>) {
  const volume = mountVolume(files);
  onTestFinished(() => volume.dispose());
  return volume;
}

async function certificate() {
  const made = await testCertificate();
  made.dispose();
  return { "tls.crt": made.cert, "tls.key": made.key };
}

test("a listener's certificate follows a mounted Secret", async () => {
  const [first, second] = [await certificate(), await certificate()];
  const volume = mounted(first);
  const onChange = vi.fn();
  const keeper = new CertificateKeeper({
    prefix: "relay.tls",
    files: { cert: volume.file("tls.crt"), key: volume.file("tls.key"), checkInterval: 0.02 },
    logger: logger(),
    onChange,
    onReload: () => {},
  });
  onTestFinished(() => keeper.close());
  keeper.follow();
  expect(keeper.current.cert).toBe(first["tls.crt"]);
  volume.swap(second);
  await expect.poll(() => keeper.current).toEqual({ cert: second["tls.crt"], key: second["tls.key"] });
  expect(onChange).toHaveBeenCalledExactlyOnceWith(keeper.current);
});

test("the certificate and the authorities of a gRPC server follow a mounted Secret; what makes no sense is left", async () => {
  const [first, second] = [await certificate(), await certificate()];
  const volume = mounted({ ...first, "ca.crt": first["tls.crt"] });
  const log = logger();
  const keeper = new GrpcTlsKeeper({
    prefix: "relay.grpc.tls",
    files: { cert: volume.file("tls.crt"), key: volume.file("tls.key"), ca: volume.file("ca.crt") },
    logger: log,
    lookMs: 20,
  });
  onTestFinished(() => keeper.close());
  const told: GrpcServerTls[] = [];
  keeper.onChange((tls) => told.push(tls));
  volume.swap({ "tls.key": "nonsense" });
  await expect.poll(() => log.error.mock.calls.length).toBeGreaterThan(0);
  expect(log.error.mock.calls[0]?.[0]).toMatchObject({ problem: expect.stringContaining("relay.grpc.tls: ") });
  expect(keeper.current.key).toBe(first["tls.key"]);
  volume.swap({ ...second, "ca.crt": second["tls.crt"] });
  await expect.poll(() => told).toEqual([{ cert: second["tls.crt"], key: second["tls.key"], ca: second["tls.crt"] }]);
});

const schema = z.strictObject({
  realm: z.string().default("culvert"),
  secrets: secret(z.array(z.string())).default([]),
});

/** Runs a service of this schema; says what it was reloaded with. */
function run(env: Readonly<Record<string, string>>) {
  const handlers = new Map<string, () => void>();
  const errors: string[] = [];
  const reloads: unknown[] = [];
  const host: Host = {
    argv: [],
    env,
    out: () => {},
    err: (line) => void errors.push(line),
    on: (event, handler) => void handlers.set(event, handler),
    onFatal: () => {},
    exit: () => {},
  };
  const running = { stop: async () => {}, reload: (next: unknown) => void reloads.push(next) };
  const done = runMain("relay", schema, async () => running, { host });
  onTestFinished(async () => {
    handlers.get("SIGTERM")?.();
    await done;
  });
  return { reloads, errors, signal: (name: string) => handlers.get(name)?.() };
}

test("a ConfigMap and a Secret that change are read again, without a signal", async () => {
  const config = mounted({ "culvert.yaml": "relay: { realm: first }" });
  const secrets = mounted({ secrets: "[one]\n" });
  const { reloads } = run({
    CULVERT_CONFIG: config.file("culvert.yaml"),
    CULVERT_RELAY_SECRETS_FILE: secrets.file("secrets"),
    CULVERT_CONFIG_CHECK_INTERVAL: "0.02",
  });
  config.swap({ "culvert.yaml": "relay: { realm: second }" });
  await expect.poll(() => reloads).toEqual([{ realm: "second", secrets: ["one"] }]);
  secrets.swap({ secrets: "[one, two]\n" });
  await expect.poll(() => reloads.at(-1)).toEqual({ realm: "second", secrets: ["one", "two"] });
  expect(readFileSync(secrets.file("secrets"), "utf8")).toBe("[one, two]\n");
});

test("SIGHUP has it read again where the files are not looked at", async () => {
  const config = mounted({ "culvert.yaml": "relay: { realm: first }" });
  const { reloads, signal } = run({
    CULVERT_CONFIG: config.file("culvert.yaml"),
    CULVERT_CONFIG_CHECK_INTERVAL: "0",
  });
  config.swap({ "culvert.yaml": "relay: { realm: second }" });
  await expect
    .poll(() => {
      signal("SIGHUP");
      return reloads.at(-1);
    })
    .toEqual({ realm: "second", secrets: [] });
});

test("what cannot be read is one line on standard error, and nothing that the service takes over", async () => {
  const config = mounted({ "culvert.yaml": "relay: { realm: first }" });
  const { reloads, errors } = run({
    CULVERT_CONFIG: config.file("culvert.yaml"),
    CULVERT_CONFIG_CHECK_INTERVAL: "0.02",
  });
  config.swap({ "culvert.yaml": "relay: { realn: second }" });
  await expect.poll(() => reloads).toEqual([undefined]);
  expect(errors).toHaveLength(1);
  expect(JSON.parse(errors[0] ?? "")).toMatchObject({
    level: "error",
    service: "relay",
    problem: expect.stringContaining("relay.realn: unknown key"),
    msg: "configuration not read again; the old one stays",
  });
});
