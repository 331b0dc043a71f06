import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generate } from "selfsigned";

/** Writes a self-signed certificate for localhost, 127.0.0.1 and ::1 into `folder`. */
export async function writeTestCertificate(folder: string): Promise<{ readonly cert: string; readonly key: string }> {
  const ips = ["127.0.0.1", "::1"].map((ip) => ({ type: 7 as const, ip }));
  const altNames = [{ type: 2 as const, value: "localhost" }, ...ips];
  const pem = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    extensions: [{ name: "subjectAltName", altNames }],
  });
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  await writeFile(files.cert, pem.cert);
  await writeFile(files.key, pem.private, { mode: 0o600 });
  return files;
}
