import { checkClaims, DEFAULT_TENANT } from "@culvert/credentials";
import { z } from "zod";
import { invalid } from "../errors.ts";
import { signSignalingToken } from "../signaling-token.ts";
import { demand } from "../tokens.ts";
import { type Api, type ApiContext, authenticate, bearerToken, principalOf } from "./context.ts";
import { CULVERT_ERROR, errorHandler, errorResponses } from "./error-shapes.ts";
import { tenantId } from "./tenants.ts";

const issued = z.object({
  token: z.string().describe("JWT for the hello of a signaling session."),
  tenant: z.string(),
  user: z.string(),
  ttl: z.int().describe("Lifetime in seconds."),
  expiresAt: z.int().describe("Seconds since the Unix epoch."),
});

export async function signalingRoutes(api: Api, context: ApiContext): Promise<void> {
  const { issuer, metrics, random } = context;
  api.setErrorHandler(errorHandler(CULVERT_ERROR, metrics, "signaling"));
  api.addHook("preValidation", authenticate(context, bearerToken));

  api.post(
    "/v1/signaling/tokens",
    {
      schema: {
        tags: ["Signaling"],
        security: [{ bearer: [] }],
        summary: "Issue a token for the signaling service",
        description:
          'A JWT signed with HS256. Claims: tenant, sub (the user), aud ("culvert-signaling"), iat, exp, jti. Its kid names ' +
          'the signing key; the key is HKDF-SHA256 of that key\'s secret with the info "culvert signaling jwt".',
        operationId: "createSignalingToken",
        body: z.strictObject({
          user: z.string().describe("Who the session is of."),
          ttl: z
            .int("must be a whole number of seconds")
            .min(1, "must be 1 second or more")
            .optional()
            .describe("Lifetime in seconds."),
          tenant: tenantId.optional().describe("For the administrator. Absent: the token's tenant, or default."),
        }),
        response: { 201: issued.describe("The token."), ...errorResponses(CULVERT_ERROR, 404, 409) },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const {
        user,
        ttl: wanted,
        tenant = principal.kind === "token" ? principal.tenant : DEFAULT_TENANT,
      } = request.body;
      demand(principal, "signaling:issue", tenant);
      const checked = checkClaims({ tenant, user });
      if (!checked.ok) throw invalid(`${checked.problem.claim}: ${checked.problem.message}`);
      const ttl = issuer.ttl(await issuer.tenant(tenant), wanted, { longTtl: "refuse" });
      const key = await issuer.signingKey(tenant);
      const expiresAt = issuer.now() + ttl;
      const id = Buffer.from(random.bytes(12)).toString("base64url");
      const issuedAt = issuer.issuedAt(tenant, user);
      const token = await signSignalingToken({ key, user, id, issuedAt, expiresAt, trace: issuer.trace() });
      metrics.minted("signaling", "jwt");
      return reply.code(201).send({ token, tenant, user, ttl, expiresAt });
    },
  );
}
