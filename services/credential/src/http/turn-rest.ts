import { DEFAULT_TENANT } from "@culvert/credentials";
import { z } from "zod";
import { invalid } from "../errors.ts";
import { demand, type Principal } from "../tokens.ts";
import { type Api, type ApiContext, authenticate, bearerToken, principalOf } from "./context.ts";
import { CULVERT_ERROR, errorHandler, errorResponses } from "./error-shapes.ts";

const parameters = z.strictObject({
  service: z.literal("turn", 'must be "turn"').describe("The service that is asked for."),
  username: z
    .string()
    .optional()
    .describe("The application's id of the user. Absent: one of its own for each credential."),
  ttl: z
    .string()
    .regex(/^[1-9]\d{0,8}$/, "must be a number of seconds")
    .optional()
    .describe("Wanted lifetime in seconds. A longer one than allowed is cut."),
  key: z.string().optional().describe("The API token, for who cannot send headers."),
});
type Parameters = z.infer<typeof parameters>;

const credentials = z.object({
  username: z.string().describe("USERNAME of TURN."),
  password: z.string().describe("Password of the long-term credential."),
  ttl: z.int().describe("Lifetime in seconds."),
  uris: z.array(z.string()).describe("URIs of RFC 7065, the preferred first."),
});

const TEXT = {
  tags: ["TURN REST"],
  description:
    "The REST API for access to TURN services. The tenant default gets credentials of coturn's scheme: username " +
    "`<unix-expiry>:<userid>`, password `base64(HMAC-SHA1(secret, username))`.",
  security: [{ bearer: [] }, { key: [] }, { keyHeader: [] }],
};

const textIn = (values: unknown, name: string): string | undefined => {
  if (typeof values !== "object" || values === null || !Object.hasOwn(values, name)) return undefined;
  const value: unknown = Reflect.get(values, name);
  return typeof value === "string" ? value : undefined;
};

const headerOf = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;

/** The TURN REST draft: `GET|POST /?service=turn&username=U&ttl=T`. */
export async function turnRestRoutes(api: Api, context: ApiContext): Promise<void> {
  api.setErrorHandler(errorHandler(CULVERT_ERROR, context.metrics, "turn-rest"));
  api.addHook(
    "preValidation",
    authenticate(
      context,
      (request) =>
        bearerToken(request) ??
        headerOf(request.headers["x-api-key"]) ??
        textIn(request.query, "key") ??
        textIn(request.body, "key"),
    ),
  );

  const issue = async (tenant: string, { username, ttl }: Parameters): Promise<z.infer<typeof credentials>> => {
    const user = username === "" ? undefined : username;
    const issued = await context.issuer.issue(
      tenant,
      { user, ttl: ttl === undefined ? undefined : Number(ttl) },
      { longTtl: "cut", preferRest: true },
    );
    context.metrics.minted("turn-rest", issued.scheme);
    return { username: issued.username, password: issued.password, ttl: issued.ttl, uris: [...context.uris().turn] };
  };
  const tenantOf = (principal: Principal): string => {
    const tenant = principal.kind === "admin" ? DEFAULT_TENANT : principal.tenant;
    demand(principal, "credentials:issue", tenant);
    return tenant;
  };
  const response = {
    200: credentials.describe("Credentials and where they are good for."),
    ...errorResponses(CULVERT_ERROR, 409),
  };

  api.get(
    "/",
    {
      schema: { ...TEXT, summary: "Issue credentials", operationId: "turnRestGet", querystring: parameters, response },
    },
    async (request) => issue(tenantOf(principalOf(request)), request.query),
  );
  api.post(
    "/",
    {
      schema: {
        ...TEXT,
        summary: "Issue credentials; parameters in the query or in a form",
        operationId: "turnRestPost",
        consumes: ["application/x-www-form-urlencoded", "application/json"],
        querystring: parameters.partial(),
        body: parameters.partial(),
        response,
      },
    },
    async (request) => {
      const { service, ...rest } = { ...request.query, ...request.body };
      if (service === undefined) throw invalid('service: must be "turn"');
      return issue(tenantOf(principalOf(request)), { ...rest, service });
    },
  );
}
