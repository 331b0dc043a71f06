import { ID_PATTERN } from "@culvert/credentials";
import type { ApiToken } from "@culvert/state";
import { z } from "zod";
import { APPLICATION_SCOPES, SCOPES } from "../config.ts";
import { conflict, forbidden, notFound } from "../errors.ts";
import { demand, hashToken } from "../tokens.ts";
import { type Api, type ApiContext, principalOf } from "./context.ts";
import { CULVERT_ERROR, errorResponses } from "./error-shapes.ts";
import { tenantPath } from "./tenants.ts";

const token = z.object({
  id: z.string().describe("Name of the token in paths."),
  tenant: z.string(),
  name: z.string().describe("For people."),
  scopes: z.array(z.string()).describe("What it may do, within its tenant."),
  createdAt: z.int().describe("Seconds since the Unix epoch."),
  expiresAt: z.int().optional().describe("Seconds since the Unix epoch from which on it is refused."),
});

const shown = ({ id, tenant, name, scopes, createdAt, expiresAt }: ApiToken): z.infer<typeof token> => ({
  id,
  tenant,
  name,
  scopes: [...scopes],
  createdAt,
  ...(expiresAt === undefined ? {} : { expiresAt }),
});

const TEXT = { tags: ["API tokens"], security: [{ bearer: [] }] };

export async function apiTokenRoutes(api: Api, { store, issuer, random }: ApiContext): Promise<void> {
  api.post(
    "/v1/tenants/:tenant/tokens",
    {
      schema: {
        ...TEXT,
        summary: "Create an API token",
        operationId: "createApiToken",
        params: tenantPath,
        body: z.strictObject({
          name: z
            .string()
            .min(1, "must not be empty")
            .max(128, "must be at most 128 characters")
            .describe("For people."),
          scopes: z
            .array(z.enum(SCOPES, `must be one of ${SCOPES.join(", ")}`))
            .min(1, "must name one scope or more")
            .optional()
            .describe("What it may do. Absent: issue and revoke credentials and issue signaling tokens."),
          ttl: z
            .int("must be a whole number of seconds")
            .min(1, "must be 1 or more")
            .optional()
            .describe("Seconds. Absent: without end."),
        }),
        response: {
          201: token.extend({ token: z.string().describe("The token. Shown this once.") }).describe("The token."),
          ...errorResponses(CULVERT_ERROR, 404, 409),
        },
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const principal = principalOf(request);
      demand(principal, "tokens:admin", tenant);
      const { name, scopes = APPLICATION_SCOPES, ttl } = request.body;
      const excess = principal.kind === "token" ? scopes.find((scope) => !principal.scopes.has(scope)) : undefined;
      if (excess !== undefined) throw forbidden(excess);
      const text = `cvt_${Buffer.from(random.bytes(32)).toString("base64url")}`;
      const createdAt = issuer.now();
      const created: ApiToken = {
        id: `t${Buffer.from(random.bytes(6)).toString("hex")}`,
        tenant,
        name,
        hash: hashToken(text),
        scopes,
        createdAt,
        ...(ttl === undefined ? {} : { expiresAt: createdAt + ttl }),
      };
      const result = await store.createToken(created);
      if (result === "no-tenant") throw notFound("tenant");
      if (result === "taken") throw conflict("the random id is taken; try again");
      return reply.code(201).send({ ...shown(created), token: text });
    },
  );
  api.get(
    "/v1/tenants/:tenant/tokens",
    {
      schema: {
        ...TEXT,
        summary: "List API tokens, the oldest first",
        operationId: "listApiTokens",
        params: tenantPath,
        response: {
          200: z.object({ tokens: z.array(token) }).describe("Tokens without their text."),
          ...errorResponses(CULVERT_ERROR, 404),
        },
      },
    },
    async (request) => {
      const { tenant } = request.params;
      demand(principalOf(request), "tokens:admin", tenant);
      await issuer.tenant(tenant);
      return { tokens: (await store.tokens(tenant)).map(shown) };
    },
  );
  api.delete(
    "/v1/tenants/:tenant/tokens/:id",
    {
      schema: {
        ...TEXT,
        summary: "Delete an API token; it is refused at once",
        operationId: "deleteApiToken",
        params: tenantPath.extend({
          id: z.string().regex(ID_PATTERN, "must be a token's id").describe("The token's id."),
        }),
        response: { 204: z.undefined().describe("Deleted."), ...errorResponses(CULVERT_ERROR, 404) },
      },
    },
    async (request, reply) => {
      const { tenant, id } = request.params;
      demand(principalOf(request), "tokens:admin", tenant);
      if (!(await store.deleteToken(tenant, id))) throw notFound("token");
      return reply.code(204).send();
    },
  );
}
