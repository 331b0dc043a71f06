import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { ConfigError } from "@culvert/config";
import type { KubernetesConfig } from "./config.ts";

/** How long the API has for an answer, in ms. */
const ANSWER_MS = 5_000;
/** How long a watch is asked for, in seconds. The API ends it then, and another one begins. */
const WATCH_SECONDS = 240;
/** Nothing that is watched here is longer, in bytes. */
const MAX_OBJECT = 4 << 20;

/** The API did not do what it was asked for. `status` is its own, or absent where it was not reached. */
export class KubeError extends Error {
  override readonly name: string = "KubeError";
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** One line of a watch. */
export interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

/** Where the API is and how to log in there, of which nothing has been read yet. */
export interface KubeAccess {
  readonly server: URL;
  readonly tokenFile: string;
  readonly caFile: string;
}

/** Throws a ConfigError of one line where the process is not in a cluster and nothing says where one is. */
export function kubeAccess({ server, tokenFile, caFile }: KubernetesConfig, env: NodeJS.ProcessEnv): KubeAccess {
  return { server: new URL(server ?? inCluster(env)), tokenFile, caFile };
}

function inCluster(env: NodeJS.ProcessEnv): string {
  const host = env.KUBERNETES_SERVICE_HOST;
  if (host === undefined || host === "") {
    throw new ConfigError(
      "relay.externalAddress.kubernetes.server: missing: must be set outside of a cluster (CULVERT_RELAY_EXTERNAL_ADDRESS_KUBERNETES_SERVER)",
    );
  }
  return `https://${host.includes(":") ? `[${host}]` : host}:${env.KUBERNETES_SERVICE_PORT || "443"}`;
}

/**
 * The little of the Kubernetes API that is needed here: an object, and what becomes of it. The official client takes a newer
 * Node than this service, and longer to load than a relay takes to start.
 */
export class KubeApi {
  readonly #access: KubeAccess;
  readonly #open = new Set<http.ClientRequest>();

  constructor(access: KubeAccess) {
    this.#access = access;
  }

  /** Rejects with a KubeError. */
  get(path: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const fail = (error: KubeError): void => {
        clearTimeout(late);
        reject(error);
      };
      const request = this.#request(path, fail, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > MAX_OBJECT) request?.destroy(new KubeError("the answer is too long"));
        });
        response.on("end", () => {
          clearTimeout(late);
          try {
            const value: unknown = JSON.parse(text);
            if (response.statusCode === 200) resolve(value);
            else fail(refusal(response.statusCode, value));
          } catch {
            fail(new KubeError(`answered ${response.statusCode} with what is not JSON`, response.statusCode));
          }
        });
      });
      const late = setTimeout(() => request?.destroy(new KubeError("no answer")), ANSWER_MS);
    });
  }

  /**
   * Follows what a watch tells, until its end: undefined where the API ended it in order. Returns what ends it from here,
   * without a word.
   */
  watch(path: string, onEvent: (event: WatchEvent) => void, onEnd: (error: KubeError | undefined) => void): () => void {
    let over = false;
    const end = (error?: KubeError): void => {
      clearTimeout(silence);
      if (over) return;
      over = true;
      onEnd(error);
    };
    const separator = path.includes("?") ? "&" : "?";
    const request = this.#request(`${path}${separator}watch=1&timeoutSeconds=${WATCH_SECONDS}`, end, (response) => {
      response.setEncoding("utf8");
      let rest = "";
      const failed = response.statusCode !== 200;
      response.on("data", (chunk: string) => {
        rest += chunk;
        if (rest.length > MAX_OBJECT) request?.destroy(new KubeError("an event is too long"));
        if (failed) return;
        const lines = rest.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const event = over ? undefined : eventOf(line);
          if (event !== undefined) onEvent(event);
        }
      });
      response.on("end", () => end(failed ? refusal(response.statusCode, parsed(rest)) : undefined));
    });
    // It is the API that ends a watch. One that does not may be gone without a word.
    const silence = setTimeout(
      () => request?.destroy(new KubeError("the watch did not end")),
      (WATCH_SECONDS + 30) * 1000,
    );
    silence.unref();
    return () => {
      over = true;
      clearTimeout(silence);
      request?.destroy();
    };
  }

  close(): void {
    for (const request of this.#open) request.destroy();
  }

  #request(
    path: string,
    fail: (error: KubeError) => void,
    onResponse: (response: http.IncomingMessage) => void,
  ): http.ClientRequest | undefined {
    const { server, tokenFile, caFile } = this.#access;
    const secure = server.protocol === "https:";
    const failed = (error: unknown): void => fail(error instanceof KubeError ? error : new KubeError(reasonOf(error)));
    try {
      const headers = { accept: "application/json", authorization: `Bearer ${readFileSync(tokenFile, "utf8").trim()}` };
      const target = new URL(path, server);
      const answered = (response: http.IncomingMessage): void => {
        response.on("error", failed);
        onResponse(response);
      };
      const request = secure
        ? https.request(target, { headers, agent: false, ca: readFileSync(caFile, "utf8") }, answered)
        : http.request(target, { headers, agent: false }, answered);
      this.#open.add(request);
      request.on("close", () => {
        this.#open.delete(request);
        failed(new KubeError("the connection ended"));
      });
      request.on("error", failed);
      request.on("socket", (socket) => socket.setKeepAlive(true, 30_000));
      request.end();
      return request;
    } catch (error) {
      queueMicrotask(() => failed(error));
      return undefined;
    }
  }
}

function eventOf(line: string): WatchEvent | undefined {
  const value = parsed(line);
  if (typeof value !== "object" || value === null || !("type" in value) || !("object" in value)) return undefined;
  return { type: String(value.type), object: value.object };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the API says in a Status, which names verb, resource and user. */
function refusal(status: number | undefined, body: unknown): KubeError {
  const said =
    typeof body === "object" && body !== null && "message" in body ? String(body.message) : "no reason given";
  return new KubeError(`${status}: ${said.replace(/\s+/g, " ").slice(0, 300)}`, status);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Several attempts, to several addresses, have no message of their own.
  if (error.message === "" && "code" in error) return String(error.code);
  return error.message.replace(/\s+/g, " ");
}
