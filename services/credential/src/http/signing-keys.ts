import { ID_PATTERN } from "@culvert/credentials";
import type { StoredKey } from "@culvert/state";
import { z } from "zod";
import { conflict, notFound } from "../errors.ts";
import { demand } from "../tokens.ts";
import { type Api, type ApiContext, principalOf } from "./context.ts";
import { CULVERT_ERROR, errorResponses } from "./error-shapes.ts";
import { tenantPath } from "./tenants.ts";

const kid = z
  .string()
  .regex(ID_PATTERN, "must be 1 to 64 letters, digits, _ or -")
  .describe("Name of the key inside usernames.");
const keyPath = tenantPath.extend({ kid });
const secret = z.string().min(16, "must have 16 characters or more").max(512, "must have at most 512 characters");
const overlap = z
  .int("must be a whole number of seconds")
  .min(0, "must be 0 or more")
  .max(31_536_000, "must be at most a year")
  .optional()
  .describe("Seconds for which the old key still verifies. Absent: the longest lifetime of a credential.");

const key = z.object({
  tenant: z.string(),
  kid,
  state: z.enum(["active", "retiring"]).describe("An active key signs and verifies, a retiring one only verifies."),
  createdAt: z.int().describe("Seconds since the Unix epoch."),
  notAfter: z.int().optional().describe("Seconds since the Unix epoch from which on it verifies nothing."),
});
const keyWithSecret = key.extend({
  secret: z.string().describe("Shown this once. coturn calls it static-auth-secret."),
});

const shown = ({ tenant, kid, state, createdAt, notAfter }: StoredKey): z.infer<typeof key> => ({
  tenant,
  kid,
  state,
  createdAt,
  ...(notAfter === undefined ? {} : { notAfter }),
});

const TEXT = { tags: ["Signing keys"], security: [{ bearer: [] }] };

export async function signingKeyRoutes(api: Api, { store, issuer, random, config }: ApiContext): Promise<void> {
  const newKey = (
    tenant: string,
    given: { kid?: string | undefined; secret?: string | undefined },
  ): { key: StoredKey; text: string } => {
    const text = given.secret ?? Buffer.from(random.bytes(32)).toString("base64url");
    const name = given.kid ?? `k${Buffer.from(random.bytes(5)).toString("hex")}`;
    return {
      key: { tenant, kid: name, secret: Buffer.from(text, "utf8"), state: "active", createdAt: issuer.now() },
      text,
    };
  };
  const endAfter = (seconds: number | undefined): number => issuer.now() + (seconds ?? config.issue.maxTtl);

  api.post(
    "/v1/tenants/:tenant/keys",
    {
      schema: {
        ...TEXT,
        summary: "Create a signing key; from then on it signs",
        operationId: "createKey",
        params: tenantPath,
        body: z.strictObject({ kid: kid.optional(), secret: secret.optional().describe("Absent: a random one.") }),
        response: { 201: keyWithSecret.describe("The key."), ...errorResponses(CULVERT_ERROR, 404, 409) },
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      demand(principalOf(request), "keys:admin", tenant);
      const { key, text } = newKey(tenant, request.body);
      const result = await store.createKey(key);
      if (result === "no-tenant") throw notFound("tenant");
      if (result === "taken") throw conflict(`the kid ${key.kid} is taken`);
      return reply.code(201).send({ ...shown(key), secret: text });
    },
  );
  api.get(
    "/v1/tenants/:tenant/keys",
    {
      schema: {
        ...TEXT,
        summary: "List signing keys, the oldest first",
        operationId: "listKeys",
        params: tenantPath,
        response: {
          200: z.object({ keys: z.array(key) }).describe("Keys without their secrets."),
          ...errorResponses(CULVERT_ERROR, 404),
        },
      },
    },
    async (request) => {
      const { tenant } = request.params;
      demand(principalOf(request), "keys:admin", tenant);
      await issuer.tenant(tenant);
      return { keys: (await store.keys(tenant)).map(shown) };
    },
  );
  api.post(
    "/v1/tenants/:tenant/keys/:kid/rotate",
    {
      schema: {
        ...TEXT,
        summary: "Replace a key: a new one signs, the old one verifies for a while",
        operationId: "rotateKey",
        params: keyPath,
        body: z.strictObject({
          kid: kid.optional().describe("Name of the new key. Absent: a random one."),
          secret: secret.optional().describe("Secret of the new key. Absent: a random one."),
          overlapSeconds: overlap,
        }),
        response: {
          201: z.object({ key: keyWithSecret, retired: key }).describe("The new key and the old one."),
          ...errorResponses(CULVERT_ERROR, 404, 409),
        },
      },
    },
    async (request, reply) => {
      const { tenant, kid } = request.params;
      demand(principalOf(request), "keys:admin", tenant);
      const { key, text } = newKey(tenant, request.body);
      const notAfter = endAfter(request.body.overlapSeconds);
      const old = (await store.keys(tenant)).find((each) => each.kid === kid);
      const result = await store.rotateKey(kid, key, notAfter);
      if (result === "missing" || old === undefined) throw notFound("key");
      if (result === "not-active") throw conflict(`the key ${kid} is retiring already`);
      if (result === "taken") throw conflict(`the kid ${key.kid} is taken`);
      const retired = shown({ ...old, state: "retiring", notAfter });
      return reply.code(201).send({ key: { ...shown(key), secret: text }, retired });
    },
  );
  api.post(
    "/v1/tenants/:tenant/keys/:kid/retire",
    {
      schema: {
        ...TEXT,
        summary: "Stop signing with a key; it verifies for a while",
        operationId: "retireKey",
        params: keyPath,
        body: z.strictObject({ overlapSeconds: overlap }),
        response: { 200: key.describe("The key."), ...errorResponses(CULVERT_ERROR, 404) },
      },
    },
    async (request) => {
      const { tenant, kid } = request.params;
      demand(principalOf(request), "keys:admin", tenant);
      const notAfter = endAfter(request.body.overlapSeconds);
      const known = await store.key(kid);
      if (!(await store.retireKey(tenant, kid, notAfter)) || known === undefined) throw notFound("key");
      return shown({ ...known, state: "retiring", notAfter });
    },
  );
  api.delete(
    "/v1/tenants/:tenant/keys/:kid",
    {
      schema: {
        ...TEXT,
        summary: "Delete a key; what it has signed is refused at once",
        operationId: "deleteKey",
        params: keyPath,
        response: { 204: z.undefined().describe("Deleted."), ...errorResponses(CULVERT_ERROR, 404) },
      },
    },
    async (request, reply) => {
      const { tenant, kid } = request.params;
      demand(principalOf(request), "keys:admin", tenant);
      if (!(await store.deleteKey(tenant, kid))) throw notFound("key");
      return reply.code(204).send();
    },
  );
}
