import type { Certificate } from "@culvert/dataplane";
import selfsigned from "selfsigned";

async function selfSigned(commonName: string): Promise<Certificate> {
  const { cert, private: key } = await selfsigned.generate([{ name: "commonName", value: commonName }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
  });
  return { cert, key };
}

/** Made once for a run. */
export const CERTIFICATES: Promise<{ readonly certificate: Certificate; readonly other: Certificate }> = Promise.all([
  selfSigned("one.test"),
  selfSigned("two.test"),
]).then(([certificate, other]) => ({ certificate, other }));
