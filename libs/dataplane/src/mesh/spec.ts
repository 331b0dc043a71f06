import { canonicalIp, familyOf, formatAddress, parseIp } from "@culvert/stun";
import type { ListenerId } from "@culvert/turn";
import type { MeshSpec } from "../mesh-port.ts";
import { ListenError, type ListenerSpec } from "../port.ts";
import { frontendId, parseInstance } from "./keys.ts";

const MIN_SECRET_LENGTH = 32;
const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** What a mesh is opened with, checked. */
export interface CheckedMesh {
  readonly instance: Buffer;
  readonly secrets: readonly Uint8Array[];
  /** As named on the wire. */
  readonly frontends: ReadonlyMap<ListenerId, number>;
  /** In their canonical form. */
  readonly sharedIps: readonly string[];
  readonly maxForeignClients: number;
  readonly maxPaths: number;
}

/** @throws ListenError of one line. `listeners` are those that are open. */
export function checkMesh(
  spec: MeshSpec,
  listeners: (id: ListenerId) => Pick<ListenerSpec, "transport" | "local" | "mode"> | undefined,
): CheckedMesh {
  const fail = (cause: string): ListenError => meshError(spec, cause);
  if (parseIp(spec.local.ip) === undefined) throw fail("not an IP address");
  if (WILDCARDS.has(canonicalIp(spec.local.ip) ?? "")) throw fail("takes one address of this host, not a wildcard");
  const instance = parseInstance(spec.instance);
  if (instance === undefined) throw fail("the instance is not 32 hexadecimal digits");
  const frontends = new Map<ListenerId, number>();
  for (const [id, name] of spec.frontends) {
    const listener = listeners(id);
    if (listener === undefined) throw fail(`listener ${id} is not open`);
    if (listener.mode === "stun") throw fail(`listener ${id} only serves STUN`);
    const frontend = frontendId(listener.transport, familyOf(listener.local.ip), name);
    if ([...frontends.values()].includes(frontend)) {
      throw fail(`frontend ${JSON.stringify(name)}: two listeners of one transport and address family have it`);
    }
    frontends.set(id, frontend);
  }
  const sharedIps = (spec.sharedIps ?? []).map((ip) => {
    const canonical = canonicalIp(ip);
    if (canonical === undefined) throw fail(`shared IP ${JSON.stringify(ip)}: not an IP address`);
    return canonical;
  });
  const { maxForeignClients = 65_536, maxPaths = 16_384 } = spec;
  return { instance, secrets: checkSecrets(spec.secrets), frontends, sharedIps, maxForeignClients, maxPaths };
}

/** @throws ListenError of one line. */
export function checkSecrets(secrets: readonly Uint8Array[]): readonly Uint8Array[] {
  if (secrets.length === 0) throw new ListenError("mesh secrets: one is needed at least");
  if (secrets.some(({ length }) => length < MIN_SECRET_LENGTH)) {
    throw new ListenError(`mesh secrets: each takes ${MIN_SECRET_LENGTH} bytes or more`);
  }
  return secrets;
}

export function meshError({ local }: Pick<MeshSpec, "local">, cause: string, error?: unknown): ListenError {
  return new ListenError(`mesh ${formatAddress(local)}: ${cause}`, { cause: error });
}
