import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";

const DAYS = 30;

/** PEM files that are removed with the process. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  remove(): Promise<void>;
}

/** Writes a self-signed certificate for `host` and the loopback names, good for 30 days. */
export async function writeCertificate(host: string, now: Date): Promise<CertificateFiles> {
  const ips = new Set(["127.0.0.1", "::1", ...(isIP(host) === 0 ? [] : [host])]);
  const names = new Set(["localhost", ...(isIP(host) === 0 ? [host] : [])]);
  const pem = await generate([{ name: "commonName", value: host }], {
    keyType: "ec",
    notBeforeDate: new Date(now.getTime() - 3_600_000),
    notAfterDate: new Date(now.getTime() + DAYS * 86_400_000),
    extensions: [
      {
        name: "subjectAltName",
        altNames: [
          ...[...ips].map((ip) => ({ type: 7 as const, ip })),
          ...[...names].map((value) => ({ type: 2 as const, value })),
        ],
      },
    ],
  });
  const folder = await mkdtemp(join(tmpdir(), "culvert-"));
  const cert = join(folder, "cert.pem");
  const key = join(folder, "key.pem");
  await writeFile(cert, pem.cert);
  await writeFile(key, pem.private, { mode: 0o600 });
  return { cert, key, remove: () => rm(folder, { recursive: true, force: true }) };
}
