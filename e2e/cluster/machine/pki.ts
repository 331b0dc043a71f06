import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "./must.ts";

/** PEM files of a certificate and its key. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

const CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"] as const;
const DAYS = ["-days", "2"] as const;

/** The cluster's certificate authority, and whom it vouches for. */
export class Pki {
  readonly folder: string;
  readonly ca: Identity;

  static async create(folder: string): Promise<Pki> {
    await mkdir(folder, { recursive: true });
    const pki = new Pki(folder);
    const { cert, key } = pki.ca;
    await must("openssl", ["req", "-x509", ...CURVE, ...DAYS, "-subj", "/CN=cluster", "-keyout", key, "-out", cert]);
    return pki;
  }

  private constructor(folder: string) {
    this.folder = folder;
    this.ca = this.#files("ca");
  }

  /** A client certificate: `user` in `group`, as the API server understands the subject. */
  client(user: string, group?: string): Promise<Identity> {
    const subject = `${group === undefined ? "" : `/O=${group}`}/CN=${user}`;
    return this.#issue(user.replaceAll(":", "-"), subject, "extendedKeyUsage=clientAuth");
  }

  /** A server certificate for these names and addresses, as subjectAltName has them (`DNS:a`, `IP:10.0.0.1`). */
  server(name: string, altNames: readonly string[]): Promise<Identity> {
    return this.#issue(name, `/CN=${name}`, `extendedKeyUsage=serverAuth\nsubjectAltName=${altNames.join(",")}`);
  }

  /** A key pair to sign service account tokens with. */
  async keyPair(name: string): Promise<{ readonly key: string; readonly pub: string }> {
    const files = { key: join(this.folder, `${name}.key`), pub: join(this.folder, `${name}.pub`) };
    await must("openssl", ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", files.key]);
    await must("openssl", ["ec", "-in", files.key, "-pubout", "-out", files.pub]);
    return files;
  }

  /** A kubeconfig that logs in at `server` as `identity`. */
  async kubeconfig(name: string, server: string, identity: Identity): Promise<string> {
    const [ca, cert, key] = await Promise.all(
      [this.ca.cert, identity.cert, identity.key].map((file) => readFile(file, "base64")),
    );
    const file = join(this.folder, `${name}.kubeconfig`);
    const content = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "cluster", cluster: { server, "certificate-authority-data": ca } }],
      users: [{ name, user: { "client-certificate-data": cert, "client-key-data": key } }],
      contexts: [{ name, context: { cluster: "cluster", user: name } }],
      "current-context": name,
    };
    await writeFile(file, JSON.stringify(content), { mode: 0o600 });
    return file;
  }

  async #issue(name: string, subject: string, extensions: string): Promise<Identity> {
    const files = this.#files(name);
    const request = join(this.folder, `${name}.csr`);
    const extensionFile = join(this.folder, `${name}.ext`);
    await writeFile(extensionFile, extensions);
    await must("openssl", ["req", "-new", ...CURVE, "-subj", subject, "-keyout", files.key, "-out", request]);
    const signer = ["-CA", this.ca.cert, "-CAkey", this.ca.key, "-CAcreateserial"];
    await must("openssl", [
      "x509",
      "-req",
      "-in",
      request,
      ...signer,
      ...DAYS,
      "-extfile",
      extensionFile,
      "-out",
      files.cert,
    ]);
    return files;
  }

  #files(name: string): Identity {
    return { cert: join(this.folder, `${name}.crt`), key: join(this.folder, `${name}.key`) };
  }
}
