import { once } from "node:events";
import { writeFileSync } from "node:fs";
import tls from "node:tls";
import { expect, test } from "vitest";
import { certificateFiles } from "./certificate.ts";
import { startRelay, type TestRelay } from "./harness.ts";

async function servedCertificate(relay: TestRelay): Promise<string> {
  const { port } = relay.info.listeners[0] ?? { port: 0 };
  const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const fingerprint = socket.getPeerX509Certificate()?.toString() ?? "";
  socket.destroy();
  return fingerprint.trim();
}

async function start(checkInterval: number) {
  const files = await certificateFiles();
  const relay = await startRelay({
    listeners: [{ transport: "tls", ip: "127.0.0.1", port: 0 }],
    tls: { cert: files.cert, key: files.key, checkInterval },
  });
  return { files, relay };
}

test("a new certificate serves new sessions while live ones go on", async () => {
  const { files, relay } = await start(3600);
  const client = await relay.connect("tls", { tls: { ca: files.pem } });
  await client.allocate();
  expect(await servedCertificate(relay)).toBe(files.pem.trim());
  const next = await files.replace();
  relay.service.reload();
  expect(await servedCertificate(relay)).toBe(next.trim());
  expect(await client.refresh()).toBe(600);
  expect(await relay.metric("culvert_relay_reloads_total", { what: "certificate", outcome: "ok" })).toBe(1);
  expect(await relay.metric("culvert_relay_certificate_not_after_seconds")).toBeGreaterThan(Date.now() / 1000);
});

test("the files are looked at by themselves", async () => {
  const { files, relay } = await start(0.05);
  const next = await files.replace();
  await expect.poll(() => servedCertificate(relay)).toBe(next.trim());
});

test("a file that is no certificate is logged and the old one goes on", async () => {
  const { files, relay } = await start(3600);
  writeFileSync(files.cert, "nonsense");
  relay.service.reload();
  expect(await servedCertificate(relay)).toBe(files.pem.trim());
  expect(await relay.metric("culvert_relay_reloads_total", { what: "certificate", outcome: "failed" })).toBe(1);
  expect(relay.logs).toContainEqual(
    expect.objectContaining({ level: "error", problem: expect.stringContaining("relay.tls") }),
  );
});
