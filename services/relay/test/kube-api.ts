import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { later } from "./harness.ts";

export const TOKEN = "the token of the service account";

interface Watcher {
  readonly path: string;
  readonly response: http.ServerResponse;
}

/** A server that speaks the part of the Kubernetes API that reads and watches single objects, over HTTPS unless told. */
export class KubeApiServer {
  /** What the relay's configuration says of it. */
  readonly section: { readonly server: string; readonly tokenFile: string; readonly caFile: string };
  readonly folder: string;
  /** Method and URL of all requests. */
  readonly requests: string[] = [];
  /** While it is set, requests are refused with it. */
  refusal: { readonly status: number; readonly message: string } | undefined;
  token = TOKEN;
  readonly #server: http.Server;
  readonly #objects = new Map<string, Record<string, unknown>>();
  readonly #watchers = new Set<Watcher>();
  #version = 100;

  static async start({ secure = true } = {}): Promise<KubeApiServer> {
    const folder = mkdtempSync(join(tmpdir(), "culvert-kube-"));
    later(() => rmSync(folder, { recursive: true, force: true }));
    const pems = await generate([{ name: "commonName", value: "kubernetes" }], {
      keyType: "ec",
      extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }],
    });
    writeFileSync(join(folder, "ca.crt"), pems.cert);
    writeFileSync(join(folder, "token"), `${TOKEN}\n`);
    writeFileSync(join(folder, "namespace"), "calls\n");
    const server = secure ? https.createServer({ cert: pems.cert, key: pems.private }) : http.createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new KubeApiServer(server, folder, secure);
  }

  private constructor(server: http.Server, folder: string, secure: boolean) {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    this.folder = folder;
    this.#server = server;
    this.section = {
      server: `${secure ? "https" : "http"}://127.0.0.1:${port}`,
      tokenFile: join(folder, "token"),
      caFile: join(folder, "ca.crt"),
    };
    server.on("request", (request, response) => this.#answer(request, response));
    later(() => this.stop());
  }

  /** Makes or changes an object, for instance `/api/v1/nodes/worker-1`. */
  put(path: string, object: Readonly<Record<string, unknown>>): void {
    this.#version++;
    const type = this.#objects.has(path) ? "MODIFIED" : "ADDED";
    const metadata = { ...(object.metadata ?? {}), name: nameOf(path), resourceVersion: String(this.#version) };
    this.#objects.set(path, { ...object, metadata });
    this.#tell(path, { type, object: this.#objects.get(path) });
  }

  remove(path: string): void {
    const object = this.#objects.get(path);
    this.#objects.delete(path);
    this.#tell(path, { type: "DELETED", object });
  }

  /** Says that the version that watches began with is gone (410), and ends them. */
  expire(): void {
    const status = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
    for (const { response } of this.#watchers) response.end(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
  }

  /** Cuts all connections without a word. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  get watches(): number {
    return this.#watchers.size;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }

  #tell(path: string, event: object): void {
    // In two pieces: an event may come as several packets.
    const line = `${JSON.stringify(event)}\n`;
    for (const watcher of this.#watchers) {
      if (watcher.path !== path) continue;
      watcher.response.write(line.slice(0, 20));
      watcher.response.write(line.slice(20));
    }
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://kubernetes");
    const { pathname, searchParams } = url;
    const isWatch = searchParams.get("watch") === "1";
    this.requests.push(`${request.method} ${pathname}${isWatch ? "?watch" : ""}`);
    const [, name] = /^metadata\.name=(.+)$/.exec(searchParams.get("fieldSelector") ?? "") ?? [];
    if (request.headers.authorization !== `Bearer ${this.token}`) refuse(response, 401, "Unauthorized");
    else if (this.refusal !== undefined) refuse(response, this.refusal.status, this.refusal.message);
    else if (!isWatch) this.#read(pathname, response);
    else if (name === undefined) refuse(response, 403, "may watch single objects only");
    else this.#watch(`${pathname}/${name}`, searchParams.get("resourceVersion"), response);
  }

  #read(path: string, response: http.ServerResponse): void {
    const object = this.#objects.get(path);
    if (object === undefined) {
      refuse(response, 404, `${path} not found`);
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(object));
  }

  #watch(path: string, since: string | null, response: http.ServerResponse): void {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const watcher = { path, response };
    this.#watchers.add(watcher);
    response.on("close", () => this.#watchers.delete(watcher));
    const object = this.#objects.get(path);
    // What changed between the read and the watch.
    if (Number(since) < Number(versionOf(object))) this.#tell(path, { type: "MODIFIED", object });
  }
}

function refuse(response: http.ServerResponse, code: number, message: string): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify({ kind: "Status", status: "Failure", code, message }));
}

function nameOf(path: string): string {
  return path.split("/").at(-1) ?? "";
}

function versionOf(object: Record<string, unknown> | undefined): string {
  const metadata = object?.metadata;
  return typeof metadata === "object" && metadata !== null && "resourceVersion" in metadata
    ? String(metadata.resourceVersion)
    : "0";
}
