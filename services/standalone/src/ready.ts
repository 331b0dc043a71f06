import { rename, writeFile } from "node:fs/promises";
import { basename, relative } from "node:path";

export interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

/** What a program needs to use a platform that has just started. */
export interface Ready {
  readonly apiUrl: string;
  readonly keyId: string;
  readonly token: string;
  readonly realm: string;
  /** Issued at the start, for a first try. */
  readonly iceServers: readonly IceServer[];
  readonly turn: { readonly host: string; readonly port: number; readonly tlsPort?: number };
  /** WebSocket URL of the signaling service. */
  readonly signalingUrl: string;
  /** `RelayService` of the relay, with the token of its operators: for `culvert relays` and the like. */
  readonly admin?: { readonly endpoint: string; readonly token?: string };
  /** The ops server of each service that runs one: /healthz/live, /healthz/ready, /metrics. */
  readonly opsUrls: Readonly<Record<string, string>>;
}

/** Writes the file whole: who sees it can read all of it. It holds a token, so only the owner may read it. */
export async function writeReadyFile(path: string, ready: Ready): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  await writeFile(partial, `${JSON.stringify(ready, null, 2)}\n`, { mode: 0o600 });
  await rename(partial, path);
}

/** How the `culvert` command is called in `folder`, where a script was started in its name. */
export function commandOf(script: string, folder: string): string {
  if (basename(script) !== "culvert.js") return "culvert";
  const inside = relative(folder, script);
  const path = inside.startsWith("..") ? script : inside;
  return `node ${/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`}`;
}

/** What `make run` shows. */
export function banner(
  ready: Ready,
  { command, inMemory }: { readonly command: string; readonly inMemory: boolean },
): string {
  const { apiUrl, keyId, token, admin } = ready;
  const operator = admin?.token === undefined ? "" : ` --token ${admin.token}`;
  return [
    `Culvert is up.${inMemory ? " State is in memory and ends with the process." : ""}`,
    "",
    `  API        ${apiUrl}   (OpenAPI: ${apiUrl}/openapi.json)`,
    `  key id     ${keyId}`,
    `  token      ${token}`,
    `  signaling  ${ready.signalingUrl}`,
    ...ready.iceServers
      .flatMap(({ urls }) => urls)
      .map((url, index) => `  ${index === 0 ? "ICE URIs  " : "          "} ${url}`),
    ...(admin === undefined ? [] : [`  relay      ${admin.endpoint}   (gRPC; token ${admin.token ?? "none"})`]),
    ...Object.entries(ready.opsUrls).map(
      ([service, url], index) => `  ${index === 0 ? "metrics   " : "          "} ${url}/metrics   (${service})`,
    ),
    "",
    "TURN credentials for an RTCPeerConnection:",
    "",
    `  curl -X POST ${apiUrl}/v1/turn/keys/${keyId}/credentials/generate-ice-servers \\`,
    `    -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' -d '{"ttl": 3600}'`,
    "",
    ...(admin === undefined
      ? []
      : ["Who relays now:", "", `  ${command} allocations --endpoint ${admin.endpoint}${operator}`, ""]),
    "Ctrl-C stops it.",
    "",
  ].join("\n");
}
