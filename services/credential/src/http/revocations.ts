import type { Revocation } from "@culvert/credentials";
import { z } from "zod";
import { invalid } from "../errors.ts";
import { demand } from "../tokens.ts";
import { type Api, type ApiContext, principalOf } from "./context.ts";
import { CULVERT_ERROR, errorResponses } from "./error-shapes.ts";
import { tenantPath } from "./tenants.ts";

const revocation = z.object({
  username: z.string().optional().describe("The username that is refused."),
  user: z.string().optional().describe("The user whose usernames are refused."),
  revokedAt: z.int().describe("Seconds since the Unix epoch. Of a user, what was issued before is refused."),
  expiresAt: z.int().describe("Seconds since the Unix epoch from which on nothing that is refused would be valid."),
});

const shown = ({ subject, revokedAt, expiresAt }: Revocation): z.infer<typeof revocation> => ({
  ...(subject.kind === "username" ? { username: subject.username } : { user: subject.user }),
  revokedAt,
  expiresAt,
});

const TEXT = { tags: ["Revocations"], security: [{ bearer: [] }] };

export async function revocationRoutes(api: Api, { store, issuer, revoker }: ApiContext): Promise<void> {
  api.post(
    "/v1/tenants/:tenant/revocations",
    {
      schema: {
        ...TEXT,
        summary: "Revoke a username, or all that a user was issued so far, and end what they hold",
        operationId: "revoke",
        params: tenantPath,
        body: z.strictObject({
          username: z.string().optional().describe("A whole USERNAME. Either this or user."),
          user: z
            .string()
            .optional()
            .describe("A user, as named when credentials were issued. Either this or username."),
        }),
        response: { 201: revocation.describe("The revocation."), ...errorResponses(CULVERT_ERROR, 404) },
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      demand(principalOf(request), "credentials:revoke", tenant);
      const { username, user } = request.body;
      if (username !== undefined && user === undefined) {
        return reply.code(201).send(shown(await revoker.username(tenant, username)));
      }
      if (user !== undefined && username === undefined) {
        return reply.code(201).send(shown(await revoker.user(tenant, user)));
      }
      throw invalid("body: must have either username or user");
    },
  );
  api.get(
    "/v1/tenants/:tenant/revocations",
    {
      schema: {
        ...TEXT,
        summary: "List revocations in force",
        operationId: "listRevocations",
        params: tenantPath,
        response: {
          200: z.object({ revocations: z.array(revocation) }).describe("Revocations."),
          ...errorResponses(CULVERT_ERROR, 404),
        },
      },
    },
    async (request) => {
      const { tenant } = request.params;
      demand(principalOf(request), "credentials:revoke", tenant);
      await issuer.tenant(tenant);
      const now = issuer.now();
      return { revocations: (await store.revocations(tenant)).filter(({ expiresAt }) => expiresAt > now).map(shown) };
    },
  );
}
