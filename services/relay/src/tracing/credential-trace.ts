import type { CredentialClaims } from "@culvert/credentials";
import { expandContext, expandTrace } from "@culvert/tracing";
import { type Context, type Link, ROOT_CONTEXT } from "@opentelemetry/api";

/** A trace is joined for so many seconds after the credential was issued; later requests link to it. */
const JOIN_SECONDS = 600;

/** What of a credential decides which trace its requests belong to. */
export type TracedClaims = Pick<CredentialClaims, "tenant" | "trace" | "issuedAt">;

/** Below which span the requests of a credential are, or which one they come from. */
export function parentOf(
  { trace, issuedAt = 0 }: TracedClaims,
  nowSeconds: number,
): { parent: Context; links: Link[] } {
  const issued = trace === undefined ? undefined : expandTrace(trace);
  if (issued === undefined) return { parent: ROOT_CONTEXT, links: [] };
  if (nowSeconds - issuedAt <= JOIN_SECONDS) return { parent: expandContext(trace), links: [] };
  return { parent: ROOT_CONTEXT, links: [{ context: issued }] };
}
