import { z } from "zod";
import { invalid, notFound } from "../errors.ts";
import type { Issued, IssueRequest } from "../issuer.ts";
import { demand, type Principal } from "../tokens.ts";
import type { TurnUris } from "../uris.ts";
import { type Api, type ApiContext, authenticate, bearerToken, principalOf } from "./context.ts";
import { CLOUDFLARE_ERROR, errorHandler, errorResponses } from "./error-shapes.ts";

/** 48 hours. */
const MAX_TTL = 172_800;

const path = z.object({
  keyId: z
    .string()
    .describe("The kid of one of the tenant's signing keys, or the tenant's id, which outlasts rotations."),
});

const body = z.strictObject({
  ttl: z
    .int("must be a whole number of seconds")
    .min(1, "must be 1 second or more")
    .optional()
    .describe("Lifetime in seconds, at most 48 hours."),
  user: z
    .string()
    .optional()
    .describe("Whom quotas and revocations mean. Absent: a user of its own for each credential."),
  customIdentifier: z.string().optional().describe("The same as user."),
  clientIp: z.string().optional().describe("The only IP address that may use the credential."),
  peerCidrs: z.array(z.string()).optional().describe("The only peers that may be reached: 1 to 16 prefixes."),
  maxBps: z.int().optional().describe("Bytes per second of an allocation, each direction."),
  maxAllocations: z.int().optional().describe("Allocations that the user may hold at once."),
});

const withCredential = { username: z.string(), credential: z.string() };
const iceServerList = z.object({
  iceServers: z
    .array(z.object({ urls: z.array(z.string()), username: z.string().optional(), credential: z.string().optional() }))
    .describe("For the configuration of an RTCPeerConnection."),
});
const iceServerObject = z.object({
  iceServers: z.object({ urls: z.array(z.string()), ...withCredential }).describe("One RTCIceServer with all URIs."),
});

const TEXT = { tags: ["Cloudflare"], security: [{ bearer: [] }] };

/** STUN without credentials first, then TURN with them. */
function listOf({ stun, turn }: TurnUris, { username, password }: Issued): z.infer<typeof iceServerList>["iceServers"] {
  const servers = [{ urls: [...turn], username, credential: password }];
  return stun.length === 0 ? servers : [{ urls: [...stun] }, ...servers];
}

/** Cloudflare's `/v1/turn/keys/{KEY_ID}/credentials/...`. */
export async function cloudflareRoutes(api: Api, context: ApiContext): Promise<void> {
  const { store, issuer, revoker, metrics, uris } = context;
  api.setErrorHandler(errorHandler(CLOUDFLARE_ERROR, metrics, "cloudflare"));
  api.addHook("preValidation", authenticate(context, bearerToken));

  /** The tenant behind a key id. What belongs to others is as unknown as what does not exist. */
  const tenantOf = async (principal: Principal, keyId: string): Promise<string> => {
    const tenant = (await store.key(keyId))?.tenant ?? (await store.tenant(keyId))?.id;
    if (tenant === undefined || (principal.kind === "token" && principal.tenant !== tenant)) throw notFound("key");
    return tenant;
  };
  const issue = async (principal: Principal, kid: string, request: z.infer<typeof body>): Promise<Issued> => {
    const tenant = await tenantOf(principal, kid);
    demand(principal, "credentials:issue", tenant);
    const { customIdentifier, user = customIdentifier, ...rest } = request;
    if (customIdentifier !== undefined && user !== customIdentifier)
      throw invalid("customIdentifier: must not differ from user");
    const wanted: IssueRequest = { ...rest, user };
    const issued = await issuer.issue(tenant, wanted, { maxTtl: MAX_TTL, longTtl: "refuse", kid });
    metrics.minted("cloudflare", issued.scheme);
    return issued;
  };

  api.post(
    "/v1/turn/keys/:keyId/credentials/generate-ice-servers",
    {
      schema: {
        ...TEXT,
        summary: "Issue credentials as a list of iceServers",
        operationId: "generateIceServers",
        params: path,
        body,
        response: { 201: iceServerList.describe("Credentials."), ...errorResponses(CLOUDFLARE_ERROR, 404, 409) },
      },
    },
    async (request, reply) => {
      const issued = await issue(principalOf(request), request.params.keyId, request.body);
      return reply.code(201).send({ iceServers: listOf(uris(), issued) });
    },
  );
  api.post(
    "/v1/turn/keys/:keyId/credentials/generate",
    {
      schema: {
        ...TEXT,
        summary: "Issue credentials as one iceServers object",
        operationId: "generate",
        params: path,
        body,
        response: { 201: iceServerObject.describe("Credentials."), ...errorResponses(CLOUDFLARE_ERROR, 404, 409) },
      },
    },
    async (request, reply) => {
      const { username, password } = await issue(principalOf(request), request.params.keyId, request.body);
      const { stun, turn } = uris();
      return reply.code(201).send({ iceServers: { urls: [...stun, ...turn], username, credential: password } });
    },
  );
  api.post(
    "/v1/turn/keys/:keyId/credentials/:username/revoke",
    {
      schema: {
        ...TEXT,
        summary: "Revoke a username and end what it holds",
        operationId: "revokeUsername",
        params: path.extend({ username: z.string().describe("The USERNAME, percent-encoded.") }),
        response: { 204: z.undefined().describe("Revoked."), ...errorResponses(CLOUDFLARE_ERROR, 404) },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const tenant = await tenantOf(principal, request.params.keyId);
      demand(principal, "credentials:revoke", tenant);
      await revoker.username(tenant, request.params.username);
      return reply.code(204).send();
    },
  );
}
