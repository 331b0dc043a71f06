import type { IncomingMessage, ServerResponse } from "node:http";
import type { RandomSource } from "@culvert/runtime";
import type { CredentialStore } from "@culvert/state";
import type { ServiceTracing } from "@culvert/telemetry";
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { CredentialServiceConfig } from "../config.ts";
import { unauthenticated } from "../errors.ts";
import type { Issuer } from "../issuer.ts";
import type { CredentialMetrics, Shape } from "../metrics.ts";
import type { Revoker } from "../revoker.ts";
import type { Principal, TokenAuthenticator } from "../tokens.ts";
import type { TurnUris } from "../uris.ts";

/** What the routes work with. */
export interface ApiContext {
  readonly config: CredentialServiceConfig;
  readonly store: CredentialStore;
  readonly issuer: Issuer;
  readonly revoker: Revoker;
  readonly authenticator: TokenAuthenticator;
  readonly metrics: CredentialMetrics;
  readonly random: RandomSource;
  readonly uris: () => TurnUris;
  /** Absent: nothing is traced. */
  readonly tracing?: ServiceTracing | undefined;
}

/** A Fastify instance whose schemas are zod's. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

const principals = new WeakMap<FastifyRequest, Principal>();

/** A hook that authenticates with the token that `find` finds, before anything else is looked at. */
export function authenticate(
  context: ApiContext,
  find: (request: FastifyRequest) => string | undefined,
): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    principals.set(request, await context.authenticator.authenticate(find(request), request.ip));
  };
}

/** Who calls, behind an `authenticate` hook. */
export function principalOf(request: FastifyRequest): Principal {
  const principal = principals.get(request);
  if (principal === undefined) throw unauthenticated();
  return principal;
}

/** The token of `Authorization: Bearer TOKEN` (RFC 6750). */
export function bearerToken(request: FastifyRequest): string | undefined {
  return /^Bearer +([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? "")?.[1];
}

/** User and password of `Authorization: Basic ...` (RFC 7617). */
export function basicCredentials(
  request: FastifyRequest,
): { readonly user: string; readonly password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** The API shape that a route belongs to, for the counters. */
export type RouteShape = Shape | "admin";
