import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import selfsigned from "selfsigned";
import { later } from "./harness.ts";

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  /** PEM, to be trusted. */
  readonly pem: string;
  /** Writes another certificate to the same files. */
  replace(): Promise<string>;
}

export async function certificateFiles(): Promise<CertificateFiles> {
  const directory = mkdtempSync(join(tmpdir(), "culvert-relay-"));
  later(() => rmSync(directory, { recursive: true }));
  const files = { cert: join(directory, "tls.crt"), key: join(directory, "tls.key") };
  const write = async (): Promise<string> => {
    const made = await selfsigned.generate([{ name: "commonName", value: "relay.test" }], {
      keyType: "ec",
      curve: "P-256",
      algorithm: "sha256",
      extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }],
    });
    writeFileSync(files.key, made.private);
    writeFileSync(files.cert, made.cert);
    return made.cert;
  };
  return { ...files, pem: await write(), replace: write };
}
