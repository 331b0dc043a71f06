import { DEFAULT_TENANT, ID_PATTERN } from "@culvert/credentials";
import type { Tenant } from "@culvert/state";
import { z } from "zod";
import { ApiError, conflict, notFound } from "../errors.ts";
import { demand } from "../tokens.ts";
import { type Api, type ApiContext, principalOf } from "./context.ts";
import { CULVERT_ERROR, errorResponses } from "./error-shapes.ts";

export const tenantId: z.ZodString = z
  .string()
  .regex(ID_PATTERN, "must be 1 to 64 letters, digits, _ or -")
  .describe("The tenant's id.");

/** The path of everything that a tenant has. */
export const tenantPath: z.ZodObject<{ tenant: z.ZodString }, z.core.$strip> = z.object({ tenant: tenantId });

const count = z.int("must be a whole number").min(1, "must be 1 or more");
const quotas = z.strictObject({
  allocationsPerUser: count.optional().describe("Allocations that a user may hold at once."),
  bytesPerSecond: count.optional().describe("Bytes per second of an allocation, each direction."),
});
const limits = z.strictObject({ maxTtl: count.optional().describe("Longest lifetime of credentials in seconds.") });
const name = z.string().min(1, "must not be empty").max(128, "must be at most 128 characters").describe("For people.");

const tenantBody = z.object({
  id: tenantId,
  name,
  quotas: quotas.describe("What credentials entitle to unless they ask for less."),
  limits: limits.describe("What may be asked for."),
  createdAt: z.int().describe("Seconds since the Unix epoch."),
  version: z.int().describe("One more with each change."),
});

const shown = ({ id, name, quotas, limits, createdAt, version }: Tenant): z.infer<typeof tenantBody> => ({
  id,
  name,
  quotas: { ...quotas },
  limits: { ...limits },
  createdAt,
  version,
});

type Defined<T> = { readonly [Name in keyof T]?: Exclude<T[Name], undefined> };

/** Without the members that are `undefined`. */
function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Defined<T>;
}

const TEXT = { tags: ["Tenants"], security: [{ bearer: [] }] };
const PAGE = 100;

export async function tenantRoutes(api: Api, { store, issuer }: ApiContext): Promise<void> {
  const demandAdmin = (request: Parameters<typeof principalOf>[0]): void => {
    if (principalOf(request).kind === "admin") return;
    throw new ApiError(403, "forbidden", "only the administrator may do that");
  };

  api.post(
    "/v1/tenants",
    {
      schema: {
        ...TEXT,
        summary: "Create a tenant (administrator)",
        operationId: "createTenant",
        body: z.strictObject({
          id: tenantId,
          name: name.optional(),
          quotas: quotas.optional(),
          limits: limits.optional(),
        }),
        response: { 201: tenantBody.describe("The tenant."), ...errorResponses(CULVERT_ERROR, 409) },
      },
    },
    async (request, reply) => {
      demandAdmin(request);
      const { id, name = id, quotas = {}, limits = {} } = request.body;
      const tenant: Tenant = {
        id,
        name,
        quotas: defined(quotas),
        limits: defined(limits),
        createdAt: issuer.now(),
        version: 1,
      };
      if (!(await store.createTenant(tenant))) throw conflict(`the tenant ${id} is there already`);
      return reply.code(201).send(shown(tenant));
    },
  );
  api.get(
    "/v1/tenants",
    {
      schema: {
        ...TEXT,
        summary: "List tenants by id (administrator)",
        operationId: "listTenants",
        querystring: z.strictObject({ after: tenantId.optional().describe("The last id of the page before.") }),
        response: {
          200: z
            .object({
              tenants: z.array(tenantBody),
              next: z.string().optional().describe("For after, if there are more."),
            })
            .describe("At most 100 tenants."),
          ...errorResponses(CULVERT_ERROR),
        },
      },
    },
    async (request) => {
      demandAdmin(request);
      const { after } = request.query;
      const found = await store.tenants({ limit: PAGE + 1, ...(after === undefined ? {} : { after }) });
      const page = found.slice(0, PAGE);
      const last = page.at(-1);
      const tenants = page.map(shown);
      return found.length > PAGE && last !== undefined ? { tenants, next: last.id } : { tenants };
    },
  );
  api.get(
    "/v1/tenants/:tenant",
    {
      schema: {
        ...TEXT,
        summary: "Read a tenant",
        operationId: "readTenant",
        params: tenantPath,
        response: { 200: tenantBody.describe("The tenant."), ...errorResponses(CULVERT_ERROR, 404) },
      },
    },
    async (request) => {
      const { tenant } = request.params;
      demand(principalOf(request), "tenants:admin", tenant);
      return shown(await issuer.tenant(tenant));
    },
  );
  api.patch(
    "/v1/tenants/:tenant",
    {
      schema: {
        ...TEXT,
        summary: "Change a tenant (quotas and limits: administrator)",
        description: "What is given replaces what was there, as a whole: quotas without a member lift that limit.",
        operationId: "changeTenant",
        params: tenantPath,
        body: z.strictObject({ name: name.optional(), quotas: quotas.optional(), limits: limits.optional() }),
        response: { 200: tenantBody.describe("The tenant."), ...errorResponses(CULVERT_ERROR, 404, 409) },
      },
    },
    async (request) => {
      demand(principalOf(request), "tenants:admin", request.params.tenant);
      const { name, quotas, limits } = request.body;
      if (quotas !== undefined || limits !== undefined) demandAdmin(request);
      const known = await issuer.tenant(request.params.tenant);
      const tenant: Tenant = {
        ...known,
        name: name ?? known.name,
        quotas: quotas === undefined ? known.quotas : defined(quotas),
        limits: limits === undefined ? known.limits : defined(limits),
        version: known.version + 1,
      };
      const result = await store.updateTenant(tenant);
      if (result === "missing") throw notFound("tenant");
      if (result === "conflict") throw conflict("the tenant was changed at the same time; read it and try again");
      return shown(tenant);
    },
  );
  api.delete(
    "/v1/tenants/:tenant",
    {
      schema: {
        ...TEXT,
        summary: "Delete a tenant with its keys and tokens (administrator)",
        operationId: "deleteTenant",
        params: tenantPath,
        response: { 204: z.undefined().describe("Deleted."), ...errorResponses(CULVERT_ERROR, 404, 409) },
      },
    },
    async (request, reply) => {
      demandAdmin(request);
      const { tenant } = request.params;
      if (tenant === DEFAULT_TENANT) throw conflict("the tenant default stays");
      if (!(await store.deleteTenant(tenant))) throw notFound("tenant");
      return reply.code(204).send();
    },
  );
}
