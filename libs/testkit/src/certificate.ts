import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";

/** A certificate for 127.0.0.1 and localhost that is its own authority, as files. */
export interface TestCertificate {
  /** PEM text. */
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Removes the files. */
  dispose(): void;
}

export async function testCertificate(): Promise<TestCertificate> {
  const made = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  const folder = mkdtempSync(join(tmpdir(), "culvert-certificate-"));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(certFile, made.cert);
  writeFileSync(keyFile, made.private);
  return {
    cert: made.cert,
    key: made.private,
    certFile,
    keyFile,
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}
