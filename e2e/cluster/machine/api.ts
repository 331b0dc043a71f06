import { readFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import type { Identity, Pki } from "./pki.ts";

const TIMEOUT_MS = 10_000;

/** What the test reads of an object. */
export interface KubeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
}

/** The API server, by its own protocol: for what is asked often. All else goes through kubectl and helm, as users do it. */
export class ClusterApi {
  readonly #server: string;
  readonly #agent: Agent;

  static async connect(server: string, pki: Pki, { cert, key }: Identity): Promise<ClusterApi> {
    const [ca, certPem, keyPem] = await Promise.all([pki.ca.cert, cert, key].map((file) => readFile(file)));
    return new ClusterApi(server, new Agent({ ca, cert: certPem, key: keyPem, keepAlive: true }));
  }

  private constructor(server: string, agent: Agent) {
    this.#server = server;
    this.#agent = agent;
  }

  close(): void {
    this.#agent.destroy();
  }

  async get<T>(path: string): Promise<T> {
    return JSON.parse(await this.send("GET", path));
  }

  async list<T extends KubeObject>(path: string): Promise<readonly T[]> {
    return (await this.get<{ readonly items: readonly T[] }>(path)).items;
  }

  async patch(path: string, body: object): Promise<void> {
    await this.send("PATCH", path, JSON.stringify(body), "application/merge-patch+json");
  }

  /** Fails unless the answer is one of success. */
  send(method: string, path: string, body?: string, contentType?: string): Promise<string> {
    const headers = contentType === undefined ? {} : { "content-type": contentType };
    return new Promise((resolve, reject) => {
      const options = { agent: this.#agent, method, headers, timeout: TIMEOUT_MS };
      const sent = request(`${this.#server}${path}`, options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        response.on("error", reject);
        response.on("end", () => {
          const { statusCode = 0 } = response;
          if (statusCode >= 200 && statusCode < 300) resolve(text);
          else reject(new Error(`${method} ${path}: ${statusCode} ${text}`));
        });
      });
      sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer within ${TIMEOUT_MS} ms`)));
      sent.on("error", reject);
      sent.end(body);
    });
  }
}
