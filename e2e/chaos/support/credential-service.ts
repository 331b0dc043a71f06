import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TurnAccount } from "../../support/account.ts";
import { type ApiAccess, accountOf, generateIceServers } from "../../support/api.ts";
import { Child } from "../../support/child.ts";
import { eventually, Hopeless } from "../../support/eventually.ts";
import { freePorts } from "../../support/ports.ts";
import { CULVERT } from "../../support/repo.ts";
import type { Stage } from "./stage.ts";

const HOST = "127.0.0.1";
const TENANT = "default";
const TIMEOUT_MS = 60_000;
const ADMIN_TOKEN = "a-token-of-the-tenants-administrator";

export interface CredentialServiceOptions {
  /** Where it tells of revocations. */
  readonly nats?: string | undefined;
  /** What comes on top in its section. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** The credential service as a process. */
export class CredentialService {
  /** Section `relay.credential` of a relay that follows it. */
  readonly feed: { readonly target: string; readonly token: string };
  readonly #access: ApiAccess;
  readonly #file: string;
  readonly #ops: number;
  readonly #env: Readonly<Record<string, string>> | undefined;
  #child: Child | undefined;
  #kid: string;

  static async start(stage: Stage, options: CredentialServiceOptions = {}): Promise<CredentialService> {
    const { nats, config, env } = options;
    const [http = 0, grpc = 0, ops = 0] = await freePorts(3);
    const token = "shared by the services of the tests";
    const kid = "first";
    const file = join(await stage.folder(), "credential.yaml");
    const section = {
      http: { port: http },
      grpc: { port: grpc, token },
      ops: { port: ops },
      publicHost: HOST,
      turn: { port: 3478 },
      ...(nats === undefined ? {} : { nats: { servers: [nats] } }),
      tenants: [
        {
          id: TENANT,
          keys: [{ kid, secret: "the first signing key of the tenant" }],
          tokens: [
            { id: "admin", token: ADMIN_TOKEN, scopes: ["credentials:issue", "credentials:revoke", "keys:admin"] },
          ],
        },
      ],
      ...config,
    };
    await writeFile(file, JSON.stringify({ credential: section }, null, 2));
    const service = new CredentialService(
      file,
      { apiUrl: `http://${HOST}:${http}`, keyId: kid, token: ADMIN_TOKEN },
      { target: `${HOST}:${grpc}`, token },
      ops,
      env,
    );
    stage.atEnd(() => service.kill());
    await service.restart();
    return service;
  }

  private constructor(
    file: string,
    access: ApiAccess,
    feed: CredentialService["feed"],
    ops: number,
    env: Readonly<Record<string, string>> | undefined,
  ) {
    this.#env = env;
    this.#file = file;
    this.#access = access;
    this.#kid = access.keyId;
    this.feed = feed;
    this.#ops = ops;
  }

  /** Credentials of the key that signs now. */
  async account(user: string, headers: Readonly<Record<string, string>> = {}): Promise<TurnAccount> {
    return accountOf(await generateIceServers({ ...this.#access, keyId: this.#kid }, { user }, headers));
  }

  /** What the process wrote. */
  get output(): string {
    return this.#child?.output ?? "";
  }

  /** `http://host:port` of its probes and metrics. */
  get opsUrl(): string {
    return `http://${HOST}:${this.#ops}`;
  }

  /** Ends the process as a crash does, if it runs, and starts it on its ports. Resolves when it is ready. */
  async restart(): Promise<void> {
    await this.kill();
    const env = this.#env === undefined ? {} : { env: this.#env };
    this.#child = new Child(process.execPath, [CULVERT, "credential", "--config", this.#file], env);
    await this.#ready();
  }

  /** Replaces the signing key. What the old one signed is good for an hour. */
  async rotate(): Promise<void> {
    const next = `${this.#kid}-next`;
    await this.#post(`keys/${this.#kid}/rotate`, { kid: next, overlapSeconds: 3600 });
    this.#kid = next;
  }

  /** Takes back all that the user was issued. */
  async revoke(user: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#post("revocations", { user }, headers);
  }

  async kill(): Promise<void> {
    if (this.#child === undefined || this.#child.ended) return;
    this.#child.signal("SIGKILL");
    await this.#child.exit(TIMEOUT_MS);
  }

  async #post(of: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const path = `/v1/tenants/${TENANT}/${of}`;
    const response = await fetch(`${this.#access.apiUrl}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    if (response.status !== 201) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  }

  async #ready(): Promise<void> {
    await eventually(
      "the credential service is ready",
      async () => {
        if (this.#child?.ended) throw new Hopeless(`it ended (${this.#file}):\n${this.#child.output}`);
        const response = await fetch(`http://${HOST}:${this.#ops}/healthz/ready`);
        return response.status === 200 || undefined;
      },
      TIMEOUT_MS,
    );
  }
}
