import { rename, writeFile } from "node:fs/promises";

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

/** What `make run` shows. */
export function banner(ready: Ready): string {
  const { apiUrl, keyId, token } = ready;
  return [
    "Culvert is up. State is in memory and ends with the process.",
    "",
    `  API        ${apiUrl}   (OpenAPI: ${apiUrl}/openapi.json)`,
    `  key id     ${keyId}`,
    `  token      ${token}`,
    `  signaling  ${ready.signalingUrl}`,
    ...ready.iceServers
      .flatMap(({ urls }) => urls)
      .map((url, index) => `  ${index === 0 ? "ICE URIs  " : "          "} ${url}`),
    ...(ready.admin === undefined
      ? []
      : [`  relay      ${ready.admin.endpoint}   (gRPC; token ${ready.admin.token ?? "none"})`]),
    ...Object.entries(ready.opsUrls).map(
      ([service, url], index) => `  ${index === 0 ? "metrics   " : "          "} ${url}/metrics   (${service})`,
    ),
    "",
    "TURN credentials for an RTCPeerConnection:",
    "",
    `  curl -X POST ${apiUrl}/v1/turn/keys/${keyId}/credentials/generate-ice-servers \\`,
    `    -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' -d '{"ttl": 3600}'`,
    "",
    "Ctrl-C stops it.",
    "",
  ].join("\n");
}
